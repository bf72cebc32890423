#!/usr/bin/env bash
# kafka.sh: Apache Kafka (KRaft, combined mode) on loopback from its Maven artifacts, without a container engine.
#
#   kafka.sh get                        resolve the jars into one folder
#   kafka.sh start NAME [OPTION=1 ...]  start it; prints its addresses when all nodes serve. A name that ran
#                                       before keeps its ports, data and options; only nodes that are down start
#   kafka.sh stop NAME [--kill] [NODE]  stop all nodes or one (1, 2, 3), with --kill by SIGKILL; the data is kept
#   kafka.sh rm NAME                    stop it and remove its data
#
# Options: NODES=3  three, in racks a, b, b  SASL=1  a listener with PLAIN and SCRAM (users warrener, other)
#          TLS=1    a TLS listener          TLS_VERIFY=1  that demands a client certificate
#          ADVERTISED=PORT  one node only: clients are told this port, that of a proxy in front of it
#          ACL=1    authorizer on: the plain listener is a super user, the others need ACLs
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/tls.sh
source "$HACK/lib/tls.sh"
# shellcheck source=lib/kafka-config.sh
source "$HACK/lib/kafka-config.sh"

PART=kafka-$KAFKA_VERSION

get() {
  need java "install a JDK, 17 or newer (Debian: openjdk-17-jdk-headless), or use hack/compose.yaml with Docker"
  make_part "$PART" get_jars
}

get_jars() {
  need mvn "install Maven (Debian: maven)"
  write_pom "$1/pom.xml"
  (cd "$1" && mvn --batch-mode -q dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=libs)
  ls "$1/libs/kafka_$SCALA_VERSION-$KAFKA_VERSION.jar"
}

# java_at DIR CLASS...: java with the class path of Kafka and the logging of a node.
java_at() {
  local dir=$1
  shift
  # shellcheck disable=SC2153 # PARTS is of common.sh
  java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$dir/log4j2.yaml" \
    -cp "$PARTS/$PART/libs/*" "$@"
}

start() {
  local name=$1 dir i
  shift
  dir=$(instance_dir "$name")
  get
  mkdir -p "$dir"
  read_options "$dir" "$@"
  for i in $(seq "$NODES"); do
    ports "$dir" "PLAIN_$i" "INTERNAL_$i" "CONTROLLER_$i" "SASL_$i" "TLS_$i"
  done
  with_lock "run-$name" start_locked "$name" "$dir"
  cat "$dir/env"
}

# read_options DIR OPTION...: the options of the first start count; they are kept in DIR/options.
read_options() {
  local dir=$1 option
  shift
  unset NODES SASL TLS TLS_VERIFY ACL ADVERTISED # of the caller's environment
  if [ ! -s "$dir/options" ]; then
    for option; do
      [[ $option =~ ^(NODES=[13]|ADVERTISED=[0-9]+|(SASL|TLS|TLS_VERIFY|ACL)=1)$ ]] || die "unknown option '$option'"
      printf '%s\n' "$option"
    done >"$dir/options.tmp"
    echo "NODES=1" | cat - "$dir/options.tmp" >"$dir/options"
    rm "$dir/options.tmp"
  fi
  # shellcheck source=/dev/null
  source "$dir/options"
}

start_locked() {
  local name=$1 dir=$2 i
  # shellcheck source=/dev/null
  source "$dir/ports"
  # A first character that is no letter could be taken for an option.
  [ -s "$dir/cluster-id" ] || printf "W%s" "$(head -c 16 /dev/urandom | base64 | tr "+/" "-_" | tr -d "=\\n" | cut -c2-)" >"$dir/cluster-id"
  [ -z "${TLS:-}${TLS_VERIFY:-}" ] || make_kafka_tls "$dir/tls" 2>"$dir/tls.log" || die "could not make certificates" "$dir/tls.log"
  for i in $(seq "$NODES"); do write_node "$dir" "$i"; done
  write_env "$dir" >"$dir/env"
  for i in $(seq "$NODES"); do format "$dir" "$i"; done
  for i in $(seq "$NODES"); do start_node "$dir" "$i"; done
  for i in $(seq "$NODES"); do
    wait_until 90 "$dir/$i/pid" "Kafka $name node $i" "$dir/$i/server.log" grep -q 'Kafka Server started' "$dir/$i/server.log"
  done
}

format() {
  local dir=$1/$2 arguments=() mechanism user
  [ ! -s "$dir/data/meta.properties" ] || return 0
  [ -z "${SASL:-}" ] || for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
    for user in warrener other; do
      arguments+=(--add-scram "$mechanism=[name=$user,password=$user-secret]")
    done
  done
  java_at "$dir" kafka.tools.StorageTool format --cluster-id "$(cat "$1/cluster-id")" \
    --config "$dir/server.properties" "${arguments[@]}" >"$dir/format.log" 2>&1 || die "could not format the storage of node $2" "$dir/format.log"
}

start_node() {
  local dir=$1/$2
  alive "$dir/pid" && return
  [ ! -e "$dir/server.log" ] || mv "$dir/server.log" "$dir/server.log.1"
  spawn "$dir/pid" "$dir/console.log" java -Xms64m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile="$dir/log4j2.yaml" -cp "$PARTS/$PART/libs/*" kafka.Kafka "$dir/server.properties"
}

stop() {
  local name=$1 signal=TERM dir i only='*'
  shift
  dir=$(instance_dir "$name")
  [ "${1:-}" != --kill ] || { signal=KILL; shift; }
  [ -z "${1:-}" ] || only=$1
  # All are told before one is waited for: an orderly stop needs the majority of the controllers.
  for i in "$dir"/$only/pid; do
    ! alive "$i" || kill "-$signal" "$(cut -d' ' -f1 "$i")" 2>/dev/null || true
  done
  for i in "$dir"/$only/pid; do stop_process "$i" 15 "$signal"; done
}

usage() { sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }

case ${1:-}:$# in
  get:1) get ;;
  start:1) usage ;;
  start:*) shift; start "$@" ;;
  stop:[234]) shift; stop "$@" ;;
  rm:2) stop "$2"; rm -rf "$(instance_dir "$2")" ;;
  *) usage ;;
esac
