/** Key managers in memory: one with state and switches for tests, and the one of `noop_cert_manager`. */
import type { Secret } from '../../lib/secret.ts';
import { Retry } from '../../model/faults.ts';
import { type Secrets, type TlsCertificate, UnusableSecret } from '../secrets.ts';
import type { StoredCertificate } from '../tls/material.ts';
import { createSecrets, type SecretSource } from '../tls/stored-secrets.ts';

type Entry = { readonly stored: StoredCertificate | Buffer; readonly version: number };

/** A key manager that holds what a test puts into it, for every reader. */
export class FakeSecrets implements Secrets {
  /** While true it does not answer: every call throws `Retry`. */
  isDown = false;
  /** What each load balancer uses, by its id. */
  readonly uses = new Map<string, readonly string[]>();
  readonly #entries = new Map<string, Entry>();
  readonly #secrets: Secrets;
  #versions = 0;

  constructor() {
    const find = (ref: string): Entry => {
      if (this.isDown) throw new Retry('The key manager does not answer.');
      const entry = this.#entries.get(ref);
      if (entry === undefined) throw new UnusableSecret(ref, 'not found', `There is no secret ${ref} that this project may use.`);
      return entry;
    };
    const source: SecretSource = {
      findCertificate: async (ref) => {
        const { stored } = find(ref);
        return Buffer.isBuffer(stored) ? { form: 'bundle', content: stored } : stored;
      },
      findPayload: async (ref) => {
        const { stored } = find(ref);
        return Buffer.isBuffer(stored) ? stored : stored.form === 'bundle' ? stored.content : stored.certificate;
      },
      readVersion: async (ref) => String(find(ref).version),
      recordUses: async ({ id }, refs) => {
        if (this.isDown) throw new Retry('The key manager does not answer.');
        if (refs.length === 0) this.uses.delete(id);
        else this.uses.set(id, [...new Set(refs)]);
      },
    };
    this.#secrets = createSecrets(source);
  }

  /** Puts or replaces a certificate with its key. */
  putCertificate(ref: string, pieces: { certificate: string; key: Secret; intermediates?: string; passphrase?: string }): void {
    const { certificate, key, intermediates, passphrase } = pieces;
    this.#put(ref, {
      form: 'pieces',
      certificate: Buffer.from(certificate),
      private_key: Buffer.from(key.reveal()),
      intermediates: intermediates === undefined ? null : Buffer.from(intermediates),
      passphrase: passphrase === undefined ? null : Buffer.from(passphrase),
    });
  }

  /** Puts or replaces a secret: a bundle, authorities, a list of revoked certificates. */
  putPayload(ref: string, payload: string | Buffer): void {
    this.#put(ref, Buffer.from(payload));
  }

  /** Takes a secret away. */
  remove(ref: string): void {
    this.#entries.delete(ref);
  }

  readonly readCertificate: Secrets['readCertificate'] = (ref, reader) => this.#secrets.readCertificate(ref, reader);
  readonly readAuthorities: Secrets['readAuthorities'] = (ref, reader) => this.#secrets.readAuthorities(ref, reader);
  readonly readRevocations: Secrets['readRevocations'] = (ref, reader) => this.#secrets.readRevocations(ref, reader);
  readonly readVersion: Secrets['readVersion'] = (ref, reader) => this.#secrets.readVersion(ref, reader);
  readonly recordUses: Secrets['recordUses'] = (loadbalancer, refs) => this.#secrets.recordUses(loadbalancer, refs);

  #put(ref: string, stored: StoredCertificate | Buffer): void {
    this.#versions += 1;
    this.#entries.set(ref, { stored, version: this.#versions });
  }
}

/** For installations without a key manager: nothing is found. */
export function createNoSecrets(): Secrets {
  const refuse = (ref: string): Promise<never> =>
    Promise.reject(new UnusableSecret(ref, 'not found', `There is no key manager, so there is no secret ${ref}.`));
  return {
    readCertificate: refuse,
    readAuthorities: refuse,
    readRevocations: refuse,
    readVersion: refuse,
    recordUses: async () => undefined,
  };
}

/** What `noop_cert_manager` answers: every reference is this certificate, every authority its own, and no list revokes anything. */
export function createNoopSecrets(certificate: TlsCertificate): Secrets {
  return {
    readCertificate: async () => certificate,
    readAuthorities: async () => certificate.certificate,
    readRevocations: async () => '',
    readVersion: async () => 'noop',
    recordUses: async () => undefined,
  };
}
