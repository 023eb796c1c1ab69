/** Where the files of an amphora lie. */
import { isUuid } from '../lib/ids.ts';
import { refuse } from './answers.ts';

/** What the launcher says in the environment, and the folder that the configuration names. */
export type Places = {
  /** `OCTAVIA_AMPHORA_DIR`: configuration and certificates of the agent. */
  readonly config_dir: string;
  /** `OCTAVIA_STATE_DIR`: where the init looks for what is wanted. */
  readonly state_dir: string;
  /** `OCTAVIA_RUN_DIR`: sockets, pid files; empty after a boot. A short path: HAProxy takes 97 bytes for a socket. */
  readonly run_dir: string;
  /** `OCTAVIA_TRAFFIC_NETNS`: file of the traffic namespace. */
  readonly traffic_netns: string;
  /** `[haproxy_amphora] base_path`. */
  readonly base_path: string;
  /** `[haproxy_amphora] base_cert_dir`: certificates of listeners, a folder per load balancer. */
  readonly base_cert_dir: string;
};

/** The id in a path, in lower case; it becomes part of file names, so anything but a UUID is refused with 404. */
export function checkedId(id: string | undefined): string {
  if (id === undefined || !isUuid(id)) throw refuse(404, 'Not found', 'the id is no UUID');
  return id.toLowerCase();
}

/** Files of one load balancer. */
export function loadBalancerPlaces(places: Places, loadbalancer_id: string) {
  const folder = `${places.base_path}/${loadbalancer_id}`;
  return {
    folder,
    config: `${folder}/haproxy.cfg`,
    /** While it is being checked; HAProxy's complaints name it. */
    offered: `${folder}/haproxy.cfg.new`,
    /** The last one that was refused, for whoever looks into it. */
    refused: `${folder}/haproxy.cfg.new-failed`,
    /** Lists of patterns and maps that the configuration names. */
    lists: `${folder}/lists`,
    accepted: `${folder}/accepted.json`,
    serversState: `${folder}/servers-state`,
    certificates: `${places.base_cert_dir}/${loadbalancer_id}`,
  };
}
