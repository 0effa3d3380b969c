# Sourced by .ci/run: gets a Docker Engine up, and down again if it was not up before.
# shellcheck shell=bash

docker_pid=""    # of the engine that we started
docker_bridge="" # that we made for it

docker_answers() { docker version >/dev/null 2>&1; }

# docker_start FOLDER: starts an engine with all its files in FOLDER, beside whatever else the machine has. False, with
# the reason in FOLDER/log, if it does not start.
#
# It gets a bridge of its own and sets up no firewall rules and no forwarding: published ports and networks between
# containers, all that the tests need, work without. So it starts also where iptables may not be used, as in a
# container, and there is nothing to put back afterwards.
docker_start() {
  local folder=$1 waited=0
  mkdir -p "$folder"
  docker_make_bridge >>"$folder/log" 2>&1 || return 1
  export DOCKER_HOST="unix://$folder/docker.sock"
  dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/docker.pid" \
    --bridge "$docker_bridge" --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
    >>"$folder/log" 2>&1 </dev/null &
  docker_pid=$!
  until docker_answers; do
    waited=$((waited + 1))
    if [ "$waited" -gt 300 ] || ! kill -0 "$docker_pid" 2>/dev/null; then
      docker_stop
      return 1
    fi
    sleep 0.1
  done
}

docker_make_bridge() {
  local third
  for third in 7 17 27 37 47; do
    # A network that no interface or route of this machine uses.
    if ip route | grep -q "^10\.98\.$third\."; then continue; fi
    ip link add "leasehold-ci$third" type bridge || return 1
    docker_bridge=leasehold-ci$third
    ip addr add "10.98.$third.1/24" dev "$docker_bridge" && ip link set "$docker_bridge" up
    return
  done
  return 1
}

# Stops what docker_start started.
docker_stop() {
  if [ -n "$docker_pid" ]; then
    kill "$docker_pid" 2>/dev/null
    wait "$docker_pid" 2>/dev/null
    docker_pid=""
    unset DOCKER_HOST
  fi
  if [ -n "$docker_bridge" ]; then
    ip link del "$docker_bridge"
    docker_bridge=""
  fi
  return 0
}

# docker_clean IMAGE CONTAINERS: removes what this run left in the engine: the containers of IMAGE that the file
# CONTAINERS does not list (in an engine that was there before, they are not ours to remove), their networks, IMAGE.
docker_clean() {
  local container mine=()
  while read -r container; do
    grep -qx "$container" "$2" || mine+=("$container")
  done < <(docker ps -aq --no-trunc --filter "ancestor=$1")
  if [ "${#mine[@]}" -gt 0 ]; then docker rm -fv "${mine[@]}"; fi
  docker network prune -f --filter label=org.testcontainers=true
  docker rmi "$1"
  return 0
}
