/** TLS as words of HAProxy's `bind` and `server` lines. */
import { type Listener, type Owner, type PoolTree, Terminal, tlsVersions } from '../../../model/index.ts';
import type { Mode } from './lines.ts';
import { clientFiles, crtList, isTlsListener, poolFiles, type SecretFile, secretPath, type SecretOutcomes } from './tls-files.ts';

/** Where the secrets lie. */
export type TlsPlace = { readonly folder: string; readonly outcomes: SecretOutcomes };

/** What listeners and pools have in common. */
type Offer = Pick<Listener, 'tls_ciphers' | 'tls_versions'>;

/** How HAProxy calls the versions; it has no SSLv3 any more. */
const versionNames: Readonly<Record<(typeof tlsVersions)[number], string | null>> = {
  SSLv3: null,
  TLSv1: 'TLSv1.0',
  'TLSv1.1': 'TLSv1.1',
  'TLSv1.2': 'TLSv1.2',
  'TLSv1.3': 'TLSv1.3',
};

/**
 * The words of a listener's `bind` lines; none without TLS. Throws `Terminal` with the listener as owner for a secret that
 * cannot be read, and for versions that HAProxy cannot offer.
 */
export function bindTokens(listener: Listener, at: TlsPlace): readonly string[] {
  if (!isTlsListener(listener)) return [];
  const owner: Owner = { type: 'listener', id: listener.id };
  const { ca, crl } = clientFiles(listener);
  const alpn_protocols = listener.alpn_protocols ?? [];
  const verify = { NONE: 'none', OPTIONAL: 'optional', MANDATORY: 'required' }[listener.client_authentication];
  return [
    ...['ssl', 'crt-list', `${at.folder}/${crtList(listener, at.outcomes, at.folder).name}`],
    ...(ca ? ['ca-file', pathOf(ca, at), 'verify', verify] : []),
    ...(crl ? ['crl-file', pathOf(crl, at)] : []),
    ...cipherTokens(listener),
    ...versionTokens(listener, owner),
    ...(alpn_protocols.length > 0 ? ['alpn', alpn_protocols.join(',')] : []),
  ];
}

/**
 * The words of the `server` lines of a pool that encrypts again; none for others.
 *
 * Without an authority nothing is known of members, so nothing is checked. With one, a member must be certified by it
 * for the name that the client asked for, where it asked for one. Throws `Terminal` with the pool as owner.
 */
export function serverTlsTokens(pool: PoolTree, listener: Listener, mode: Mode, at: TlsPlace): readonly string[] {
  if (!pool.tls_enabled) return [];
  const owner: Owner = { type: 'pool', id: pool.id };
  const { crt, ca, crl } = poolFiles(pool);
  const alpn = serverAlpn(pool, mode);
  return [
    'ssl',
    ...(crt ? ['crt', pathOf(crt, at)] : []),
    ...(ca ? ['ca-file', pathOf(ca, at), 'verify', 'required'] : ['verify', 'none']),
    ...(crl ? ['crl-file', pathOf(crl, at)] : []),
    ...(isTlsListener(listener) ? ['sni', 'ssl_fc_sni'] : []),
    ...cipherTokens(pool),
    ...versionTokens(pool, owner),
    ...(alpn.length > 0 ? ['alpn', alpn.join(',')] : []),
  ];
}

const pathOf = (file: SecretFile, { folder, outcomes }: TlsPlace): string => secretPath(file, outcomes, folder);

/**
 * The application protocols that a pool with TLS offers to members. Bytes that are passed on are of one protocol, and a member that were offered several might
 * choose another than the client speaks: then nothing is offered.
 */
export function serverAlpn({ alpn_protocols }: PoolTree, mode: Mode): readonly string[] {
  const protocols = alpn_protocols ?? [];
  return mode === 'http' || protocols.length === 1 ? protocols : [];
}

/** OpenSSL has one list up to TLS 1.2 and one for TLS 1.3, the API one for both; a protocol of which none is named keeps its own. */
function cipherTokens({ tls_ciphers }: Offer): readonly string[] {
  const names = (tls_ciphers ?? '').split(':').filter((name) => name !== '');
  const suites = names.filter((name) => name.startsWith('TLS_'));
  const ciphers = names.filter((name) => !name.startsWith('TLS_'));
  return [...(ciphers.length > 0 ? ['ciphers', ciphers.join(':')] : []), ...(suites.length > 0 ? ['ciphersuites', suites.join(':')] : [])];
}

/**
 * The range of versions: `no-tlsv11` and the like could not lower HAProxy's own minimum, TLS 1.2. A list with a gap, which
 * TLS cannot negotiate, gives the newest versions above the gap.
 */
function versionTokens({ tls_versions }: Offer, owner: Owner): readonly string[] {
  if (tls_versions === null || tls_versions.length === 0) return [];
  const known = tlsVersions.map((version) => (tls_versions.includes(version) ? versionNames[version] : null));
  const newest = known.findLastIndex((name) => name !== null);
  if (newest < 0) throw new Terminal(owner, `HAProxy offers none of the TLS versions ${tls_versions.join(', ')}`);
  const gap = known.slice(0, newest).lastIndexOf(null);
  return ['ssl-min-ver', known[gap + 1] as string, 'ssl-max-ver', known[newest] as string];
}
