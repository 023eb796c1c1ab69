/** The interface `Secrets` on top of anything that stores payloads by reference. */
import type { Secrets, SecretReader } from '../secrets.ts';
import { authoritiesFrom, certificateFrom, revocationsFrom, type StoredCertificate } from './material.ts';

/** What a kind of key manager has to do itself. All but `release` throw `UnusableSecret` and `Retry` as `Secrets` does. */
export interface SecretSource {
  /** What stands behind a reference to a certificate. */
  findCertificate(ref: string, reader: SecretReader): Promise<StoredCertificate>;
  /** The payload of one secret. */
  findPayload(ref: string, reader: SecretReader): Promise<Buffer>;
  /** See `Secrets.readVersion`. */
  readVersion(ref: string, reader: SecretReader): Promise<string>;
  /** See `Secrets.recordUses`. */
  recordUses: Secrets['recordUses'];
}

/** Reads through a source. */
export function createSecrets(source: SecretSource): Secrets {
  return {
    readCertificate: async (ref, reader) => certificateFrom(ref, await source.findCertificate(ref, reader)),
    readAuthorities: async (ref, reader) => authoritiesFrom(ref, await source.findPayload(ref, reader)),
    readRevocations: async (ref, reader) => revocationsFrom(ref, await source.findPayload(ref, reader)),
    readVersion: async (ref, reader) => source.readVersion(ref, reader),
    recordUses: async (loadbalancer, refs) => source.recordUses(loadbalancer, refs),
  };
}
