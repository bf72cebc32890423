#!/usr/bin/env bash
# rabbitmq-node.sh CHROOT DIR UID:GID NODE DIST_PORT EPMD_PORT: run a RabbitMQ node in the foreground.
# Called by rabbitmq.sh as root, as the first process of a mount and process namespace of its own: the mounts
# below are seen by nobody else and end with it. DIR is /srv inside.
set -euo pipefail
root=$1 dir=$2 owner=$3 node=$4 dist_port=$5 epmd_port=$6

mount --make-rprivate /
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$dir" "$root/srv"

# Both the node and epmd listen on loopback only. No busy waiting: tests share few cores.
exec env -i \
  PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv TMPDIR=/srv/tmp LANG=C.UTF-8 \
  ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1 \
  RABBITMQ_CONF_ENV_FILE=/dev/null \
  RABBITMQ_NODENAME="$node@localhost" \
  RABBITMQ_DIST_PORT="$dist_port" \
  RABBITMQ_CONFIG_FILE=/srv/rabbitmq.conf \
  RABBITMQ_ENABLED_PLUGINS_FILE=/srv/enabled_plugins \
  RABBITMQ_MNESIA_BASE=/srv/data \
  RABBITMQ_LOG_BASE=/srv/log \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none" \
  chroot --userspec="$owner" "$root" /usr/lib/rabbitmq/bin/rabbitmq-server
