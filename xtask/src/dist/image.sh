# $0/bundle is the unpacked image: its server answers the client of the same image, each a container as
# the image's configuration says but for a terminal, limits, and a network that both are in.
cd "$0/bundle"
jq -e '.process.user.uid == 65534 and .process.args == ["/usr/bin/udp-server"]' config.json >/dev/null
# Nothing else is in it: the programs, and files about them.
(cd rootfs && find . ! -type d ! -path './usr/share/licenses/*') | sort >../files
printf './usr/bin/udp-%s\n' client heartbeat server | cmp - ../files
for program in rootfs/usr/bin/*; do
    ! readelf --program-headers --wide "$program" | grep -q INTERP
done
jq '.process.terminal = false | del(.linux.resources) | .root.path = "'"$PWD"'/rootfs"
    | .linux.namespaces |= map(select(.type != "cgroup" and .type != "network"))' config.json >server.json
mv server.json config.json
mkdir ../client
jq '.process.args = ["/usr/bin/udp-client", "-m", "hello"]' config.json >../client/config.json

exec unshare --net sh -euc '
    ip link set lo up
    runc="timeout 60 runc --root $PWD/../state"
    server=udp-toolkit-server-$$
    trap "$runc delete --force $server >/dev/null 2>&1 || true" EXIT
    $runc run --no-pivot --bundle "$PWD" $server >served 2>&1 </dev/null &
    until grep -q "wait for connection" served; do kill -0 $! || { cat served; exit 1; }; sleep 0.05; done
    grep -q "^Uid:.65534.65534" "/proc/$($runc state $server | jq .pid)/status"
    $runc run --no-pivot --bundle "$PWD/../client" udp-toolkit-client-$$ >asked 2>&1 || { cat asked; exit 1; }
    grep -q "recvfrom (.127.0.0.1., 7000): echo hello" asked
    $runc kill $server TERM
    wait
    grep -q "^1 received, 1 replied" served
    echo done
'
