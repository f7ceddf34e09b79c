#!/usr/bin/env bash
# Lays out local stand-ins for the images that the Dockerfiles and docker-compose.yml name, where no registry can be
# reached: Debian's own Python, Caddy and Prometheus under those names. Needs root, buildah, debootstrap and apt. What they
# prove is our part: that the files build and run, not that the official images do.
#   stand_in.sh FOLDER PYTHON_IMAGE CUDA_IMAGE CADDY_IMAGE PROMETHEUS_IMAGE GRAFANA_IMAGE
set -euo pipefail
folder=$1 python=$2 cuda=$3 caddy=$4 prometheus=$5 grafana=$6
suite=bookworm
root=$folder/root

if [ ! -e "$folder/root.made" ]; then
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v suite=$suite '$2 == suite { print $1; exit }')
  [ -n "$mirror" ] || { echo "apt has no source for Debian $suite" >&2; exit 1; }
  rm -rf --one-file-system "$root"
  debootstrap --variant=minbase --include=ca-certificates,netbase,python3,python3-pip,python3-venv,tzdata \
    $suite "$root" "$mirror" >"$folder/debootstrap.log"
  # As in the official image: Python comes first in PATH, pip may install outside of a venv, apt keeps nothing.
  for name in python python3 python3.11; do ln -s /usr/bin/python3.11 "$root/usr/local/bin/$name"; done
  for name in pip pip3; do ln -s /usr/bin/pip3 "$root/usr/local/bin/$name"; done
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/*
  : >"$root/etc/resolv.conf"
  : >"$root/etc/hostname"
  touch "$folder/root.made"
fi

made() { buildah inspect --type image "$1" >/dev/null 2>&1; }

if ! made "$python"; then
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$root" / >/dev/null
  buildah config --cmd python3 --env LANG=C.UTF-8 \
    --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit --quiet --rm --format docker "$container" "$python" >/dev/null
fi
made "$cuda" || buildah tag "$python" "$cuda"

if ! made "$caddy" || ! made "$prometheus"; then
  container=$(buildah from --pull-never "$python")
  buildah run --isolation chroot --network host "$container" -- sh -c 'apt-get -qq update &&
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends caddy prometheus >/dev/null &&
    rm -rf /var/lib/apt/lists/* && install --directory --owner nobody --group nogroup /prometheus' >"$folder/tools.log" 2>&1
  buildah config --cmd '["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]' "$container"
  buildah commit --quiet --format docker "$container" "$caddy" >/dev/null
  buildah config --cmd '' --entrypoint '["/bin/prometheus"]' --user nobody --workingdir /prometheus "$container"
  buildah commit --quiet --rm --format docker "$container" "$prometheus" >/dev/null
fi

# Debian has no Grafana: this holds its place, and what compose mounts in it can be looked at.
if ! made "$grafana"; then
  container=$(buildah from --pull-never "$python")
  buildah config --cmd '["sleep", "infinity"]' "$container"
  buildah commit --quiet --rm --format docker "$container" "$grafana" >/dev/null
fi
