# shellcheck shell=bash
# shellcheck disable=SC2154 # NODES, PLAIN_1 and so on come from the options and ports of the instance
# kafka-config.sh: the files that kafka.sh writes: pom, server.properties, logging, addresses. To be sourced.

write_pom() {
  cat >"$1" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dev.warrener</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_$SCALA_VERSION</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$LOG4J_VERSION</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>$LOG4J_VERSION</version></dependency>
  </dependencies>
</project>
POM
}

# The key store is one PEM file with key and certificate.
make_kafka_tls() {
  make_tls "$1" && cat "$1/server.key" "$1/server.crt" >"$1/server.pem"
}

port_of() { local name=$1_$2; echo "${!name}"; }

# addresses KIND: the bootstrap servers of a listener.
addresses() {
  local i list=
  for i in $(seq "$NODES"); do list+=,127.0.0.1:$(port_of "$1" "$i"); done
  echo "${list#,}"
}

write_env() {
  echo "KAFKA_BOOTSTRAP=$(addresses PLAIN)"
  if [ -n "${SASL:-}" ]; then
    echo "KAFKA_SASL_BOOTSTRAP=$(addresses SASL)"
    echo "KAFKA_USER=warrener"
    echo "KAFKA_PASSWORD=warrener-secret"
  fi
  [ -z "${TLS:-}${TLS_VERIFY:-}" ] || printf 'KAFKA_TLS_BOOTSTRAP=%s\nTLS_DIR=%s\n' "$(addresses TLS)" "$1/tls"
}

# write_node DIR NODE: configuration of one node in DIR/NODE.
write_node() {
  local base=$1 i=$2 dir=$1/$2 n voters="" listeners advertised protocols
  mkdir -p "$dir"
  for n in $(seq "$NODES"); do voters+=,$n@127.0.0.1:$(port_of CONTROLLER "$n"); done
  advertised=PLAIN://127.0.0.1:$(port_of PLAIN "$i"),INTERNAL://127.0.0.1:$(port_of INTERNAL "$i")
  protocols=PLAIN:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
  [ -z "${SASL:-}" ] || { advertised+=,SASL://127.0.0.1:$(port_of SASL "$i"); protocols+=,SASL:SASL_PLAINTEXT; }
  [ -z "${TLS:-}${TLS_VERIFY:-}" ] || { advertised+=,TLS://127.0.0.1:$(port_of TLS "$i"); protocols+=,TLS:SSL; }
  listeners=$advertised,CONTROLLER://127.0.0.1:$(port_of CONTROLLER "$i")
  [ -z "${ADVERTISED:-}" ] || advertised=${advertised/$(port_of PLAIN "$i")/$ADVERTISED}
  {
    cat <<CONF
node.id=$i
process.roles=broker,controller
controller.quorum.voters=${voters#,}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listeners=$listeners
advertised.listeners=$advertised
listener.security.protocol.map=$protocols
log.dirs=$dir/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=$NODES
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=$NODES
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=$NODES
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=5
CONF
    # Two racks, of which one has two brokers: who ignores them is found out.
    [ "$NODES" = 1 ] || echo "broker.rack=$(if [ "$i" = 1 ]; then echo a; else echo b; fi)"
    [ -z "${SASL:-}" ] || cat <<CONF
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_warrener="warrener-secret" user_other="other-secret";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
CONF
    [ -z "${TLS:-}${TLS_VERIFY:-}" ] || cat <<CONF
ssl.keystore.type=PEM
ssl.keystore.location=$base/tls/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$base/tls/ca.crt
ssl.client.auth=$(if [ -n "${TLS_VERIFY:-}" ]; then echo required; else echo requested; fi)
CONF
    [ -z "${ACL:-}" ] || cat <<CONF
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
CONF
  } >"$dir/server.properties"
  cat >"$dir/log4j2.yaml" <<CONF
Configuration:
  status: error
  Appenders:
    File:
      name: file
      fileName: $dir/server.log
      append: true
      PatternLayout: {pattern: "%d{HH:mm:ss.SSS} %p %c{1}: %m%n"}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: file}}
    Logger:
      - {name: kafka.server.KafkaRaftServer, level: info}
      - {name: org.apache.kafka, level: warn}
CONF
}
