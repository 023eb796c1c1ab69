/** Encryption at rest: payloads of secrets as they stand in the database. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../../../lib/secret.ts';
import { Retry } from '../../../model/faults.ts';

/** Encrypts with the first of its keys, decrypts with all. */
export interface Sealer {
  /** The id of the key that encrypts: tells keys apart and tells nothing of them. */
  readonly key_id: string;
  /** The ids of all keys. */
  readonly key_ids: readonly string[];
  /** `context` (the id of the secret) must be the same when it is opened: a payload cannot be moved to another secret. */
  seal(content: Buffer, context: string): string;
  /** Throws `Retry` when no key here opens it: the operator has to give the right one. */
  open(sealed: string, context: string): Buffer;
}

/** 256 bits and more, as `openssl rand -base64 32` or the key file has them. */
const MIN_KEY_CHARACTERS = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits: good for 2³² payloads of one key. The keys in use are derived
 * from the texts given (HKDF, RFC 5869), so that the same text may be in any form. Throws `RangeError` when there is none or one is short.
 */
export function createSealer(texts: readonly Secret[]): Sealer {
  const keys = texts.map((text) => {
    const given = text.reveal();
    if (given.length < MIN_KEY_CHARACTERS) throw new RangeError(`a key has fewer than ${MIN_KEY_CHARACTERS} characters`);
    const derive = (use: string, bytes: number): Buffer => Buffer.from(hkdfSync('sha256', given, '', `octavia secrets ${use}`, bytes));
    return { id: derive('key id', 6).toString('hex'), key: derive('payload', 32) };
  });
  const [first] = keys;
  if (first === undefined) throw new RangeError('no key is given');
  return {
    key_id: first.id,
    key_ids: keys.map(({ id }) => id),
    seal(content, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', first.key, nonce, { authTagLength: TAG_BYTES }).setAAD(aad(first.id, context));
      const encrypted = Buffer.concat([cipher.update(content), cipher.final()]);
      return `1:${first.id}:${Buffer.concat([nonce, encrypted, cipher.getAuthTag()]).toString('base64')}`;
    },
    open(sealed, context) {
      const found = keys.find(({ id }) => id === keyIdOf(sealed));
      if (found === undefined) throw new Retry('A secret is encrypted with a key that is not configured here.');
      const bytes = Buffer.from(sealed.slice(sealed.lastIndexOf(':') + 1), 'base64');
      try {
        const decipher = createDecipheriv('aes-256-gcm', found.key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
        decipher.setAAD(aad(found.id, context)).setAuthTag(bytes.subarray(-TAG_BYTES));
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
      } catch (error) {
        throw new Retry('A secret in the database is damaged or was moved there from another.', { cause: error });
      }
    },
  };
}

/** The id of the key that a payload is encrypted with. */
export const keyIdOf = (sealed: string): string => sealed.split(':')[1] ?? '';

const aad = (key_id: string, context: string): Buffer => Buffer.from(`1:${key_id}:${context}`);
