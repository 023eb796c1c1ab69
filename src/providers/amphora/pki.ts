/** Certificates between controllers and agents: the built-in authority, or the operator's files. */
import type { Secret } from '../../lib/secret.ts';

/** A certificate with its key, as PEM. */
export type KeyedCertificate = { readonly certificate: string; readonly key: Secret };

/** A certificate made for an amphora. */
export type IssuedCertificate = KeyedCertificate & {
  /** Hex digits. */
  readonly serial: string;
  readonly not_after: Date;
  /** Key and certificate in one text, as agents take it (`server.pem`). */
  readonly pem: Secret;
};

/** An authority that signs. */
export type Authority = KeyedCertificate;
