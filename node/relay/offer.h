// What a relay says of itself in the directory: a sealed, signed record of 448 bytes (crypto/record.h) at one
// of the 16 places of an hour. Everybody can find and open it; nobody can change it or put it elsewhere.
#ifndef BAUTA_NODE_RELAY_OFFER_H
#define BAUTA_NODE_RELAY_OFFER_H

#include "crypto/bytes.h"
#include "crypto/net.h"
#include "crypto/record.h"
#include "crypto/relaykey.h"
#include "dht/path.h"
#include "node/relay/limits.h"

#include <assert.h>

// Plaintext: version[1] flags[1] ed_pk[32] puzzle_nonce[8] issued[8] expiry[8] capacity[4] free[1] tcp_port[2]
// contacts[1], contacts x (family[1] addr[4|16] port[2]), signature[64], zeroes up to 392.
// The server's key is not there: it follows from ed_pk.
#define OFFER_VERSION 1u
#define OFFER_FLAG_TCP 1u // TCP at the same addresses and ports
#define OFFER_FIXED_BYTES (1u + 1 + 32 + PUZZLE_NONCE_BYTES + 8 + 8 + 4 + 1 + 2 + 1)
#define OFFER_BODY_BYTES_MAX (OFFER_FIXED_BYTES + OFFER_CONTACTS_MAX * PATH_WIRE_BYTES_MAX)
static_assert(OFFER_FIXED_BYTES == 66, "the layout is the contract");
static_assert(OFFER_BODY_BYTES_MAX + RELAY_SIGNATURE_BYTES <= RECORD_PLAIN_BYTES, "fits a record");

struct relay_offer {
    uint8_t ed_pk[KEY_BYTES];
    // At most one of each family, IPv4 first. All have the same key and puzzle nonce.
    struct contact contact[OFFER_CONTACTS_MAX];
    uint8_t contacts;
    bool tcp;          // also TCP at these addresses and ports,
    uint16_t tcp_port; // and at this port; 0: at no other
    uint8_t free;      // eighths of the capacity that are left; 0: takes nobody new
    uint32_t capacity_kBps;
    uint64_t issued_s, expiry_s; // unix seconds: of two offers the one issued later counts
};

// One place of the directory. Who knows the network's name knows it.
struct offer_slot {
    uint64_t epoch;
    uint8_t place[32], seal[32];
};
// slot < DIRECTORY_SLOTS.
// place = BLAKE2b-32("bauta relays" || NET || LE64 epoch || slot),
// seal  = BLAKE2b-32("bauta relays seal" || NET || place).
void offer_slot(struct offer_slot *, const struct net *, uint64_t epoch, unsigned slot);

// What an offer must keep to; the clock apart, which only a reader compares.
struct offer_rules {
    const struct net *net;
    bool lab;            // private addresses are good
    uint8_t puzzle_bits; // of the key
};
// May it be announced? Contacts, ports, numbers and the puzzle, not keys and times. 0, BAUTA_EFORMAT.
int offer_check(const struct relay_offer *, const struct offer_rules *);
// Signs and seals one that offer_check has taken, of that seed's key; issued within the slot's epoch.
void offer_seal(uint8_t record[static RECORD_BYTES], const struct relay_offer *,
                const struct net *net, const struct offer_slot *,
                const uint8_t rec_id[static RECORD_ID_BYTES], const uint8_t nonce[static 24],
                const uint8_t seed[static KEY_BYTES]);
// Opens a record and reads it, all but the signature. BAUTA_EAUTH: not sealed for this slot; BAUTA_EFORMAT;
// BAUTA_ESTATE: not its time.
struct offer_body {
    uint8_t plain[RECORD_PLAIN_BYTES];
    size_t len; // of what is signed
};
int offer_open(struct relay_offer *, struct offer_body *, const uint8_t record[static RECORD_BYTES],
               const struct offer_rules *, const struct offer_slot *, uint64_t now_s);
// Was it signed by the key it names, for this place? (0.2 ms.) Fills in the contacts' key. BAUTA_EAUTH.
int offer_verify(struct relay_offer *, const struct offer_body *, const struct offer_rules *,
                 const struct offer_slot *);

// The two layouts by themselves: for offer_seal, offer_open and tests.
void offer_encode(uint8_t plain[static RECORD_PLAIN_BYTES], const struct relay_offer *,
                  const struct net *net, const uint8_t place[static 32],
                  const uint8_t seed[static KEY_BYTES]);
int offer_decode(struct relay_offer *, struct offer_body *); // body->plain is read. BAUTA_EFORMAT

#endif
