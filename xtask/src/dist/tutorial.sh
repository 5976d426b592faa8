# In a bare Debian: installs the package, does what the README's first page does, and takes it away.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C
dpkg --install /older.deb >/dev/null

: >/served
udp-server >/served &
server=$!
while ! grep -q 'wait for connection' /served; do kill -0 $server; sleep 0.05; done
udp-client -m hello >/asked
grep -qx "recvfrom ('127.0.0.1', 7000): echo hello" /asked
udp-heartbeat -c 2 -i 0.05 >/beaten
grep -q '^2 sent, 2 received, 0 lost' /beaten
kill $server
wait $server
grep -q '^3 received, 3 replied' /served

for page in udp-server.1 udp-client.1 udp-heartbeat.1 udp-toolkit.7; do
    mandoc "/usr/share/man/man${page##*.}/$page.gz" | grep -q '^NAME\|N.*A.*M.*E'
done
for program in udp-server udp-client udp-heartbeat; do
    bash -euc 'source "/usr/share/bash-completion/completions/$0"
        COMP_WORDS=("$0" --verb) COMP_CWORD=1
        function=$(complete -p "$0") function=${function##*-F }
        "${function%% *}" "$0" --verb "$0" && test "${COMPREPLY[*]}" = --verbose' "$program"
    test -s "/usr/share/zsh/vendor-completions/_$program"
    test -s "/usr/share/fish/vendor_completions.d/$program.fish"
    test -s "/usr/share/elvish/lib/$program.elv"
done
gzip -dc /usr/share/doc/udp-toolkit/third-party.txt.gz | grep -q '^Permission is hereby granted'
# The unit's own command, with the list that is installed.
timeout 1 udp-server --quiet --bind 127.0.0.1:0 --access-file /etc/udp-toolkit/access >/dev/null || test $? = 124

# An upgrade keeps what the administrator wrote, a purge keeps nothing.
echo 'deny 192.0.2.0/24' >>/etc/udp-toolkit/access
dpkg --install /udp-toolkit.deb >/dev/null
! dpkg-query --show --showformat='${Version}' udp-toolkit | grep '^0.0.1-1$'
grep -q '^deny' /etc/udp-toolkit/access
dpkg --purge udp-toolkit >/dev/null
! test -e /etc/udp-toolkit
! test -e /usr/bin/udp-server
! test -e /usr/share/doc/udp-toolkit
echo done
