/** Rows of amphorae, and what is recorded of VIPs while they are made. */
import type { Kysely } from 'kysely';
import type { AdditionalVipRow } from '../model/loadbalancer.ts';
import type { Amphora } from '../model/index.ts';
import type { Tables } from './tables.ts';
import { writeMany } from './write-many.ts';

type Tx = Kysely<Tables>;

/** A new amphora: PENDING_CREATE, nothing of it made yet. `created_at` is UTC as the API writes it. */
export async function insertAmphora(
  tx: Tx,
  amphora: Pick<Amphora, 'id' | 'loadbalancer_id' | 'role' | 'vrrp_priority' | 'created_at'>,
): Promise<void> {
  const unset = {
    compute_id: null,
    lb_network_ip: null,
    vrrp_ip: null,
    ha_ip: null,
    vrrp_port_id: null,
    ha_port_id: null,
    cert_expiration: null,
    cert_busy: false,
    vrrp_interface: null,
    vrrp_id: null,
    cached_zone: null,
    image_id: null,
    compute_flavor: null,
    updated_at: null,
    cert_serial: null,
    boot_started_ms: null,
    config_due: false,
  };
  await writeMany(tx, [tx.insertInto('amphora').values({ ...unset, status: 'PENDING_CREATE', ...amphora })]);
}

/** Changes an amphora's row; one that is not there is no error. */
export async function updateAmphora(tx: Tx, id: string, change: Partial<Amphora>): Promise<void> {
  await writeMany(tx, [tx.updateTable('amphora').set(change).where('id', '=', id)]);
}

/** Counts as heard at `last_seen_ms`: from now on silence is a failure. */
export async function recordHeard(tx: Tx, amphora_id: string, last_seen_ms: number): Promise<void> {
  const seen = { last_seen_ms, busy: false };
  const row = tx
    .insertInto('amphora_health')
    .values({ amphora_id, ...seen })
    .onConflict((conflict) => conflict.column('amphora_id').doUpdateSet(seen));
  await writeMany(tx, [row]);
}

/** What the network gave for a VIP. */
export type AllocatedVip = {
  readonly vip_port_id: string;
  readonly vip_address: string | null;
  readonly vip_subnet_id: string | null;
  readonly vip_port_owned: boolean;
  readonly additional_vips: AdditionalVipRow[];
};

/** Records the port and the addresses of a load balancer's VIPs. */
export async function recordVip(tx: Tx, loadbalancer_id: string, vip: AllocatedVip): Promise<void> {
  await writeMany(tx, [tx.updateTable('loadbalancer').set(vip).where('id', '=', loadbalancer_id)]);
}
