# shellcheck shell=bash
# debian.sh: install packages of any Debian suite into a folder (debootstrap). To be sourced.

# debian_mirror: the archive that this system's apt uses.
debian_mirror() {
  local uri
  uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -n -E 's/^deb (\[[^]]*\] )?([^ ]+).*/\2/p; s/^URIs: *([^ ]+).*/\1/p' | grep -E '^https?://.*/debian/?$' | head -n 1) || true
  [ -n "$uri" ] || die "no Debian archive (http://.../debian) in apt's sources: RabbitMQ comes from there"
  echo "$uri"
}

# debootstrap_suite SUITE DIR PACKAGES: a minimal system of that suite with the packages (comma separated).
debootstrap_suite() {
  local suite=$1 dir=$2 packages=$3 mirror script proxy
  check_mount_options "$dir"
  if ! command -v debootstrap >/dev/null && [ ! -x /usr/sbin/debootstrap ]; then
    command -v apt-get >/dev/null || die "debootstrap is missing and there is no apt-get; use hack/compose.yaml with Docker"
    run_as_root apt-get update -q # a new machine has no lists yet
    run_as_root apt-get install -y --no-install-recommends debootstrap
  fi
  # A suite younger than debootstrap itself has no script yet; those of all newer suites are the same.
  script=/usr/share/debootstrap/scripts/$suite
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  mirror=$(debian_mirror) || return 1
  proxy=$(apt-config shell p Acquire::http::Proxy 2>/dev/null | sed -n "s/^p='\(.*\)'$/\1/p") || true
  [ -z "$proxy" ] || export http_proxy=$proxy
  run_as_root env ${http_proxy:+http_proxy="$http_proxy"} nice -n 5 debootstrap --variant=minbase --include="$packages" \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$suite" "$dir" "$mirror" "$script" || {
    cat "$dir/debootstrap/debootstrap.log" 2>/dev/null || true
    return 1
  }
  run_as_root rm -rf "$dir/var/cache/apt/archives" "$dir/var/lib/apt/lists"
}

check_mount_options() {
  local options
  options=$(findmnt --noheadings --output OPTIONS --target "$1")
  [[ ! ",$options," =~ ,(noexec|nodev), ]] ||
    die "$1 is on a file system mounted ${BASH_REMATCH[1]}, where a chroot cannot work: set WARRENER_STATE to another folder"
}

# descendant PID NAME: the first process below PID with that command name.
descendant() {
  local child
  for child in $(ps -o pid= --ppid "$1"); do
    if [ "$(ps -o comm= -p "$child")" = "$2" ]; then echo "$child"; return; fi
    descendant "$child" "$2" | grep . && return
  done
  return 0
}
