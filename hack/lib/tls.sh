# shellcheck shell=bash
# shellcheck disable=SC2086 # $EC is several words
# tls.sh: a throw-away authority with a server and a client certificate for tests. To be sourced.

EC="-pkeyopt ec_paramgen_curve:prime256v1" # fast to make

# make_tls DIR: ca, server (127.0.0.1 and localhost) and client (CN=warrener) as DIR/<name>.crt and .key (PKCS#8).
make_tls() {
  [ -s "$1/client.crt" ] && return
  mkdir -p "$1"
  make_authority "$1" &&
    issue "$1" server /CN=localhost 'subjectAltName=IP:127.0.0.1,DNS:localhost' &&
    issue "$1" client /CN=warrener extendedKeyUsage=clientAuth
}

# make_authority DIR: DIR/ca.crt and ca.key.
make_authority() {
  openssl req -x509 -newkey ec $EC -nodes -keyout "$1/ca.key" -out "$1/ca.crt" -days 365 -subj /CN=warrener-test-ca
}

# issue DIR NAME SUBJECT EXTENSIONS: a key and a certificate by the authority in DIR.
issue() {
  openssl req -newkey ec $EC -nodes -keyout "$1/$2.key" -out "$1/$2.csr" -subj "$3" &&
    openssl x509 -req -in "$1/$2.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -CAcreateserial -days 365 -out "$1/$2.crt" \
      -extfile <(printf '%s\n' "$4")
}
