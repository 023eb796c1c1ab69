/** The pair of amphorae as HAProxy's peers, which share the stick tables of session persistence. */
import { createHash } from 'node:crypto';
import type { Amphora, LoadBalancerTree } from '../../../model/index.ts';
import type { ConfigSection } from '../../../wire/haproxy-text.ts';
import { checkedAddress, line, peersName } from './lines.ts';

/** The TCP port of peers, open between the amphorae of a pair. */
export const PEER_PORT = 1025;

/** The name of an amphora as a peer, as upstream's agent starts HAProxy with (`-L`): base64 of a SHA-1, with `_-` for `+/`. */
export function peerName(amphora_id: string): string {
  const digest = createHash('sha1').update(amphora_id).digest('base64');
  return digest.replaceAll('+', '_').replaceAll('/', '-').replaceAll('=', '').replace(/^-/u, 'x');
}

/** The peers section; null without a pair. This amphora is in it also before it is ALLOCATED: HAProxy needs itself there. */
export function renderPeers(tree: LoadBalancerTree, self: Amphora): ConfigSection | null {
  if (tree.loadbalancer.topology !== 'ACTIVE_STANDBY') return null;
  const owner = { type: 'loadbalancer', id: tree.loadbalancer.id } as const;
  const pair = tree.amphorae.filter((amphora) => amphora.status === 'ALLOCATED' && amphora.id !== self.id);
  const lines = [self, ...pair]
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .flatMap(({ id, vrrp_ip }) => (vrrp_ip === null ? [] : [line('peer', peerName(id), `${checkedAddress(vrrp_ip, owner)}:${PEER_PORT}`)]));
  return self.vrrp_ip === null ? null : { kind: 'peers', name: peersName(tree.loadbalancer.id), lines };
}
