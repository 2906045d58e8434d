#!/bin/bash
# Installs a cluster the way a careful administrator does it without internet: tar over ssh, ctr
# import, kubeadm init and join. What can go on at the same time does.
#
#   install.sh PAYLOAD KEY KNOWN_HOSTS CONTROL_PLANES WORKERS
#
# PAYLOAD is what payload.py made; the last two are lists of addresses, separated by spaces. Ends when
# every node is Ready and the cluster's DNS answers on the first host.
set -euo pipefail
payload=$1 key=$2 known_hosts=$3
read -ra control_planes <<<"$4"
read -ra workers <<<"${5:-}"
first=${control_planes[0]}
sockets=$(mktemp -d)
trap 'rm -rf "$sockets"' EXIT

on() { # ADDRESS COMMAND
    ssh -i "$key" -o UserKnownHostsFile="$known_hosts" -o StrictHostKeyChecking=yes -o BatchMode=yes \
        -o LogLevel=ERROR -o ControlMaster=auto -o ControlPersist=5 -o ControlPath="$sockets/%h" "root@$1" "$2"
}

# A route to Services for programs of the host itself, since there is no default route at this site.
prepare='tar -C / -x && systemctl daemon-reload && sysctl -q -w net.ipv4.ip_forward=1 && systemctl enable -q --now containerd pod-network.path
    && systemctl enable -q kubelet && ip route replace 10.96.0.0/12 dev lo src'

host() { # ADDRESS
    tar -C "$payload/host" -c . | on "$1" "$(echo $prepare) $1"
    on "$1" 'ctr -n k8s.io image import - >/dev/null' <"$payload/images.tar"
}

join() { # ADDRESS control-plane|worker
    sed -e "s/@ADDRESS@/$1/g" -e "s/@FIRST@/$first/g" "$payload/join-$2.yaml" | on "$1" 'cat >/root/kubeadm.yaml &&
        kubeadm join --config /root/kubeadm.yaml --ignore-preflight-errors=all >/var/log/kubeadm.log 2>&1 ||
        { tail -n 20 /var/log/kubeadm.log; exit 1; }'
}

all() { # FUNCTION ADDRESSES...: all at once, and none may fail
    local what=$1 pids=() pid
    shift
    for address in "$@"; do $what "$address" & pids+=($!); done
    for pid in "${pids[@]}"; do wait "$pid"; done
}
join_worker() { join "$1" worker; }
join_control_plane() { join "$1" control-plane; }

step() { printf '%5.1f s  %s\n' "$(bc -l <<<"$(date +%s.%N) - $begin")" "$1" >&2; }
begin=$(date +%s.%N)

all host "${control_planes[@]}" "${workers[@]}"
step 'programs and images are on the hosts'

sed -e "s/@ADDRESS@/$first/g" "$payload/init.yaml" | on "$first" 'cat >/root/kubeadm.yaml &&
    kubeadm init --config /root/kubeadm.yaml --upload-certs --ignore-preflight-errors=all >/var/log/kubeadm.log 2>&1 ||
    { tail -n 20 /var/log/kubeadm.log; exit 1; }'
step 'kubeadm init'

sed -e "s/@FIRST@/$first/g" "$payload/flannel.yaml" |
    on "$first" 'KUBECONFIG=/etc/kubernetes/admin.conf kubectl apply -f - >/dev/null'
all join_worker "${workers[@]}" &
joining=$!
all join_control_plane "${control_planes[@]:1}"
wait "$joining"
step 'kubeadm join'

count=$((${#control_planes[@]} + ${#workers[@]}))
on "$first" "
    export KUBECONFIG=/etc/kubernetes/admin.conf
    until [ \"\$(kubectl get nodes --no-headers 2>/dev/null | grep -cw Ready)\" = $count ]; do sleep 0.2; done
    # A question for kube-dns.kube-system.svc.cluster.local (RFC 1035, section 4), and whether it has an
    # answer. No label of ten letters: bash would send a datagram of its own at what it takes for a line end.
    question='\\x12\\x34\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x08kube-dns\\x0bkube-system\\x03svc\\x07cluster\\x05local\\x00\\x00\\x01\\x00\\x01'
    answers() {
        exec 3<>/dev/udp/10.96.0.10/53 && printf \"\$question\" >&3 &&
            timeout 1 head -c 12 <&3 | od -An -tx1 | grep -q '^ 12 34 8. .0 00 01 00 01'
    }
    until answers 2>/dev/null; do sleep 0.2; done"
step 'all nodes are Ready and DNS answers'
