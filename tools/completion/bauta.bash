# bash completion for bauta(1)
_bauta()
{
    local cur prev command options i
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    command=
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} != -* ]]; then
            command=${COMP_WORDS[i]}
            break
        fi
    done
    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W 'run chat relay ctl status demo help --help --version' -- "$cur"))
        return
    fi
    case $prev in
    --hops) COMPREPLY=($(compgen -W '1 2' -- "$cur")) && return ;;
    --metrics) COMPREPLY=($(compgen -W 'off 127.0.0.1:9464' -- "$cur")) && return ;;
    --cover) COMPREPLY=($(compgen -W 'off low high' -- "$cur")) && return ;;
    --privacy) COMPREPLY=($(compgen -W 'direct relayed' -- "$cur")) && return ;;
    --web) COMPREPLY=($(compgen -W 'off' -- "$cur")) && return ;;
    --state) COMPREPLY=($(compgen -d -- "$cur")) && return ;;
    --config | --control) COMPREPLY=($(compgen -f -- "$cur")) && return ;;
    --listen | --bootstrap | --network | --proxy | --tcp | --upnp-lease | --clients | --rate | --bandwidth | --volume | --drain) return ;;
    esac
    options='--help'
    case $command in
    run | chat)
        options="$options --listen --bootstrap --network --privacy --hops --cover --control --state --config"
        options="$options --proxy --tcp --public --web --no-lan --no-upnp --upnp-lease --lab --lab-strict"
        [[ $command == chat ]] && options="$options --plain"
        ;;
    relay)
        options="$options --listen --tcp --bootstrap --network --control --state --config --clients --rate"
        options="$options --bandwidth --volume --drain --metrics --lab --lab-strict"
        ;;
    ctl | status) options="$options --control" ;;
    demo) options="$options --control --web" ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ $command == ctl && $prev == ctl ]]; then
        COMPREPLY=($(compgen -W \
            'status seek say next end block verify typing path privacy cover contacts add_contacts subscribe stop' -- "$cur"))
    elif [[ $command == help ]]; then
        COMPREPLY=($(compgen -W 'run chat relay ctl status demo' -- "$cur"))
    fi
}
complete -F _bauta bauta
