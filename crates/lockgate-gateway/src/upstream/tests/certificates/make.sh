#!/bin/sh
# Makes the certificates of the tests anew: an authority that nobody trusts, and a server that it signed. They hold until 2100.
# The authority's own key is thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
touch "$work/index"
cat >"$work/config" <<END
[ca]
default_ca = own
[own]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:false
extendedKeyUsage = serverAuth
subjectAltName = DNS:target.test, DNS:localhost, IP:127.0.0.1
END
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
sign() { openssl ca -batch -notext -config "$work/config" -startdate 20000101000000Z -enddate 21000101000000Z "$@" 2>/dev/null; }
key "$work/authority.key"
key server.key
openssl req -new -key "$work/authority.key" -subj "/CN=Authority of tests" -out "$work/authority.csr"
openssl req -new -key server.key -subj "/CN=Server of tests" -out "$work/server.csr"
sign -selfsign -keyfile "$work/authority.key" -extensions authority -in "$work/authority.csr" -out authority.pem
sign -keyfile "$work/authority.key" -cert authority.pem -extensions server -in "$work/server.csr" -out server.pem
