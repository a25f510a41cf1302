#!/usr/bin/env bash
# Installs the programs that some tests talk to: nginx with two certificates behind the balancer, HAProxy for the
# comparison, openssl and curl as clients, ip for network namespaces, strace for counting system calls. A test whose
# program is missing says so and skips; nothing here is needed to build or to run Switchyard.
set -euo pipefail

packages=(nginx libnginx-mod-stream haproxy openssl curl iproute2 strace)
programs=(nginx haproxy openssl curl ip strace)

missing=()
for p in "${programs[@]}"; do
	command -v "$p" >/dev/null || PATH=$PATH:/usr/sbin:/sbin command -v "$p" >/dev/null || missing+=("$p")
done
# The stream module of nginx has no program of its own.
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)

if [ ${#missing[@]} -eq 0 ]; then
	echo "deps: all present"
	exit 0
fi
echo "deps: missing: ${missing[*]}"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "deps: not installed: needs root and apt-get; the tests that use them will skip"
	exit 0
fi

export DEBIAN_FRONTEND=noninteractive
# The packages start their services on installation; policy-rc.d keeps ports 80 and 443 free.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
	trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
if ! { timeout 120 apt-get update -qq && timeout 240 apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
	echo "deps: apt-get could not install them; the tests that use them will skip. Its last words:"
	tail -n 5 "$log"
fi
rm -f "$log"
