/** Rules of a pool beyond the types of its fields (api-ref "Create Pool"). Pure. */
import type { Pool } from '../pool.ts';
import { checkCiphers, checkTlsVersions, refusal } from './listener.ts';

/** A session persistence as a request carries it: what it leaves out is undefined. */
export type PersistenceRequest = Partial<NonNullable<Pool['session_persistence']>>;

/** What an operator restricts. */
export type PoolLimits = { readonly tls_cipher_prohibit_list: readonly string[]; readonly minimum_tls_version: string | null };

const isDatagram = (protocol: Pool['protocol']): boolean => protocol === 'UDP' || protocol === 'SCTP';

/** Characters that end or split a cookie name in an HTTP header or in a line of configuration. */
// oxlint-disable-next-line no-control-regex
const forbiddenInCookieName = /[\u0000-\u0020\u007f"()/:<=>?@[\\\]{},;]/u;

/** Checks the session persistence of a pool of this protocol; throws `Fault` 400. */
export function checkPersistence(protocol: Pool['protocol'], persistence: PersistenceRequest, isUpdate = false): void {
  const { type, cookie_name } = persistence;
  if (isDatagram(protocol)) checkDatagramPersistence(persistence);
  else if (persistence.persistence_timeout || persistence.persistence_granularity)
    throw refusal(`persistence_timeout and persistence_granularity is only for UDP ${isUpdate ? '' : 'and SCTP '}protocol pools.`);
  if (cookie_name) {
    if (type !== 'APP_COOKIE') throw refusal('Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".');
    if (forbiddenInCookieName.test(cookie_name)) throw refusal('Supplied "cookie_name" is invalid.');
  } else if (type === 'APP_COOKIE') {
    throw refusal('Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.');
  }
}

function checkDatagramPersistence({ type, cookie_name }: PersistenceRequest): void {
  if (cookie_name && type === 'SOURCE_IP')
    throw refusal(
      'session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type, persistence_timeout, persistence_granularity.',
    );
  if (cookie_name) throw refusal('Cookie names are not supported for UDP/SCTP pools.');
  if (type !== undefined && type !== 'SOURCE_IP')
    throw refusal(`Session persistence of type ${type} is not supported for UDP/SCTP protocol pools.`);
}

/**
 * Checks the TLS side of a pool; `names` are the fields that the request carried. What a pool without TLS is created with is stored
 * as it is, as the reference does. Throws `Fault` 400.
 */
export function checkPoolTls(pool: Pool, names: ReadonlySet<string>, limits: PoolLimits, isUpdate = false): void {
  if (pool.crl_container_ref && !pool.ca_tls_container_ref)
    throw refusal(
      isUpdate
        ? 'A CA reference is required to specify a certificate revocation list.'
        : 'A CA certificate reference is required to specify a revocation list.',
    );
  if (names.has('tls_ciphers')) checkCiphers(pool.tls_ciphers, limits.tls_cipher_prohibit_list);
  if (!pool.tls_enabled && !isUpdate) return;
  if (names.has('tls_versions')) checkTlsVersions(pool.tls_versions ?? [], limits.minimum_tls_version);
  if (names.has('alpn_protocols') && pool.alpn_protocols?.length === 0)
    throw refusal('Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default.');
}
