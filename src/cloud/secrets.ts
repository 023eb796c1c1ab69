/**
 * Certificates, keys, authorities and revocation lists by reference: the interface that each kind of key manager implements (the
 * embedded one, Barbican, files, the no-op one).
 *
 * References are what tenants write into `default_tls_container_ref` and its like: the address or the UUID of a secret or of a
 * container, or the name of a file. Nobody but the implementation looks into one; the host of an address is never asked.
 */
import type { Secret } from '../lib/secret.ts';
import type { Caller } from './identity.ts';
import type { StoredRecord } from './local/record-store.ts';

/** A certificate with what a server needs to show it; the texts are PEM, normalised, each ending in a newline. */
export type TlsCertificate = {
  /** One certificate: the server's own. */
  readonly certificate: string;
  /** The chain above it, one certificate each, the next issuer first. */
  readonly intermediates: readonly string[];
  /** PKCS#8 without passphrase; it belongs to `certificate`. */
  readonly key: Secret;
  /** When the certificate ends, milliseconds since the epoch. */
  readonly not_after_ms: number;
};

/**
 * On whose behalf something is read. `caller`: a request names the reference; who sent it must be able to read the secret, and from
 * then on controllers can, for load balancers of `project_id`. `controller`: for a load balancer of that project.
 */
export type SecretReader =
  | {
      readonly by: 'caller';
      readonly caller: Caller;
      readonly token: Secret | null;
      readonly project_id: string | null;
      /** Takes what has to be written for controllers, with the change that names the secret; without it that is written at once. */
      readonly note?: (record: StoredRecord) => void;
    }
  | { readonly by: 'controller'; readonly project_id: string | null };

/** Why a reference is of no use. */
export type SecretRefusal =
  /** No such secret, or not for this reader: which of the two is told to nobody. */
  | 'not found'
  /** A PKCS#12 bundle that is damaged or has a passphrase. */
  | 'unreadable bundle'
  /** Not a certificate (with its key), authority or list. */
  | 'unreadable'
  /** The certificate names nobody. */
  | 'nameless';

/** A reference that cannot be used, and trying again will not help: a `Fault` for callers, a `Terminal` of the listener or pool for workers. */
export class UnusableSecret extends Error {
  readonly ref: string;
  readonly why: SecretRefusal;

  /** `message` is a sentence for the tenant; it tells nothing of what was read. */
  constructor(ref: string, why: SecretRefusal, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'UnusableSecret';
    this.ref = ref;
    this.why = why;
  }
}

/**
 * Where TLS material comes from. Every method throws `UnusableSecret` when the reference is of no use, and `Retry` when the key
 * manager does not answer.
 */
export interface Secrets {
  /** A certificate with its key. */
  readCertificate(ref: string, reader: SecretReader): Promise<TlsCertificate>;
  /** Authorities, as one PEM text of at least one certificate. */
  readAuthorities(ref: string, reader: SecretReader): Promise<string>;
  /** Lists of revoked certificates, as one PEM text of at least one list. */
  readRevocations(ref: string, reader: SecretReader): Promise<string>;
  /** A short text that stays the same as long as the reference gives the same material; much cheaper than reading. */
  readVersion(ref: string, reader: SecretReader): Promise<string>;
  /**
   * These are all references that the load balancer uses from now on (none: it is gone): it is entered as a consumer of what they name, and
   * taken off what it used before. Calling again with the same is cheap. What cannot be found has no consumers, and that is no error.
   */
  recordUses(loadbalancer: { readonly id: string; readonly project_id: string | null }, refs: readonly string[]): Promise<void>;
}
