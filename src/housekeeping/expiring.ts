/** Tells the operator of certificates of listeners and pools that end soon: their owners are the only ones who can renew them. */
import { X509Certificate } from 'node:crypto';
import { type Secrets, UnusableSecret } from '../cloud/secrets.ts';
import type { Database } from '../db/database.ts';
import { listSecretUsers } from '../db/upkeep.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Job } from './periodic.ts';

/** What the look works with. */
export type ExpiryOptions = {
  readonly db: Database;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly log: Logger;
  /** Seconds before its end from which on a certificate is told. */
  readonly cert_expiry_buffer: number;
};

/** When what a reference names ends; Infinity: it ends never, or is no certificate. */
type End = { readonly version: string; readonly end_ms: number };

/** The same is told once a day. */
const again_ms = 86_400_000;

/** A round tells of each certificate that ends soon, with the load balancer; only what has changed is read. */
export function tellingExpiry({ db, secrets, clock, log, cert_expiry_buffer }: ExpiryOptions): Job['run'] {
  let known = new Map<string, End>();
  let told = new Map<string, number>();
  return async () => {
    const seen = new Map<string, End>();
    const telling = new Map<string, number>();
    for (const { loadbalancer_id, project_id, refs } of await listSecretUsers(db)) {
      for (const ref of new Set(refs)) {
        const key = `${project_id} ${ref}`;
        const found = seen.get(key) ?? (await endOf(secrets, ref, project_id, known.get(key)));
        if (found !== null) seen.set(key, found);
        const message = messageFor(found, clock.now(), 1000 * cert_expiry_buffer);
        if (message === null) continue;
        const what = `${loadbalancer_id} ${ref} ${message}`;
        const last_ms = told.get(what) ?? 0;
        const isTold = clock.now() - last_ms < again_ms;
        telling.set(what, isTold ? last_ms : clock.now());
        const ends_at = found === null ? null : new Date(found.end_ms).toISOString();
        if (!isTold) log.warn({ loadbalancer_id, ref, ...(ends_at !== null && { ends_at }) }, message);
      }
    }
    known = seen;
    told = telling;
    return {};
  };
}

function messageFor(found: End | null, now_ms: number, buffer_ms: number): string | null {
  if (found === null) return 'a secret that a load balancer uses cannot be read any more';
  if (found.end_ms - now_ms > buffer_ms) return null;
  return found.end_ms > now_ms ? 'a certificate of a load balancer ends soon' : 'a certificate of a load balancer has ended';
}

/** Null: it cannot be read. */
async function endOf(secrets: Secrets, ref: string, project_id: string | null, before: End | undefined): Promise<End | null> {
  const reader = { by: 'controller', project_id } as const;
  try {
    const version = await secrets.readVersion(ref, reader);
    if (version === before?.version) return before;
    const end_ms =
      (await tried(async () => (await secrets.readCertificate(ref, reader)).not_after_ms)) ??
      (await tried(async () => firstEnd(await secrets.readAuthorities(ref, reader)))) ??
      Infinity;
    return { version, end_ms };
  } catch (error) {
    if (error instanceof UnusableSecret) return null;
    throw error;
  }
}

/** Null: it is something else. What is not there at all is thrown. */
async function tried(read: () => Promise<number>): Promise<number | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof UnusableSecret && error.why !== 'not found') return null;
    throw error;
  }
}

const firstEnd = (authorities: string): number =>
  Math.min(...authorities.split(/(?<=-----END CERTIFICATE-----\n)/u).map((text) => Date.parse(new X509Certificate(text).validTo)));
