# Completion of eventsource(1) for bash.
_eventsource()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local options='--cacert --cert --data --data-binary --header --help
        --id-file --insecure --interface --json --key --last-event-id --max-time
        --pinnedpubkey --proxy --request --retry --server-name --silent --types --unix-socket --user --verbose
        --version'

    compopt +o nospace 2>/dev/null
    case $before in
    --cacert | -E | --cert | --id-file | --key | --unix-socket)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
    -d | --data | --data-binary)
        if [[ $word == @* ]]; then
            mapfile -t COMPREPLY < <(compgen -f -P @ -- "${word#@}")
        fi
        ;;
    -X | --request)
        mapfile -t COMPREPLY < <(compgen -W 'GET POST PUT' -- "$word")
        ;;
    --retry)
        mapfile -t COMPREPLY < <(compgen -W '0 inf' -- "$word")
        ;;
    -H | --header)
        compopt -o nospace 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -W 'Authorization: Content-Type:
            Cookie: User-Agent:' -- "$word")
        ;;
    --interface)
        mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net 2>/dev/null)" \
            -- "$word")
        ;;
    --last-event-id | -m | --max-time | --pinnedpubkey | -x | --proxy) ;;
    --server-name | --types | -u | --user) ;;
    *)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        fi
        ;;
    esac
}
complete -F _eventsource eventsource
