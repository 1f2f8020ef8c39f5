# The steps to replace the proxy behind 1 TPROXY rule by anyport. None of them was run: type them
# one by one, as root. HANDLE stands for a number that the line before prints.
# Rules that iptables-legacy has made need its command: iptables-legacy, ip6tables-legacy.

# 1. Is the file right, and can this host run it?
anyport check -c anyport.toml
anyport doctor -c anyport.toml

# 2. Rehearse beside the old proxy for as long as you like. Nothing is steered. Ctrl-C ends it and
#    prints where anyport would do something else.
anyport run --shadow -c anyport.toml

# 3. Start anyport. The TPROXY rules win: nothing changes yet.
#    Unless you confirm in 10m, it gives everything back and ends.
anyport run --confirm 10m -c anyport.toml

# 4. In another terminal: delete the rules. New conns and all UDP datagrams go to anyport from now on.
#    Conns of the old proxy go on: anyport keeps the prefixes local.
#    The first line puts the rules back when the time is over, as anyport gives back the rest.
( sleep 590 && nft 'add rule ip t pre ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 0x00000001 accept' ) & UNDO=$!
nft --handle list chain ip t pre
nft delete rule ip t pre handle HANDLE   # of: ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 0x00000001 accept

# 5. In another terminal: look, try it from outside, and confirm before the time is over.
anyport status -c anyport.toml
anyport confirm -c anyport.toml
kill $UNDO

# 6. Conns of the old proxy stay with it. It has none left when this prints nothing.
ss -Htnp state established '( src 192.0.2.0/24 )' | grep -v '"anyport"'

# 7. Stop the old proxy, and keep it from starting again.
# systemctl disable --now ITS-SERVICE

# 8. Remove what nobody needs any more. Then doctor has nothing to say about TPROXY.
ip -4 rule del fwmark 0x1 lookup 100
ip -4 route flush table 100
anyport doctor -c anyport.toml

# 9. Remove the rules from the file that brings them back at the next boot, such as
#    /etc/iptables/rules.v4 or /etc/nftables.conf, and have anyport start there:
#    see docs/how-to/service.md.

# Back, as long as the old proxy still runs (before step 7):

# B1. Put the rules back, in this order. The old proxy has the new conns again; those of anyport go on.
nft 'add rule ip t pre ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 0x00000001 accept'

# B2. Stop anyport: Ctrl-C in its terminal, once. Its conns have their drain_timeout.

# Back, later: start the old proxy first. Then:

# C1. The routing by mark.
ip -4 route add local default dev lo table 100
ip -4 rule add fwmark 0x1 lookup 100

# C2. The socket matches and the rules, in this order.
nft 'add rule ip t pre ip daddr 192.0.2.0/24 meta l4proto tcp tproxy to 127.0.0.1:9000 meta mark set 0x00000001 accept'

# C3. Stop anyport.
