/** The files with secrets that a configuration names: which there are, where each belongs, and the lists of a listener's certificates. */
import { type Listener, type LoadBalancerTree, type Owner, type Pool, Terminal } from '../../../model/index.ts';
import { tlsFileMd5, tlsFileName, tlsPlace } from '../../../wire/tls-files.ts';
import { isServed } from './lines.ts';

/** What a secret is used as: a certificate with its key, authorities, or lists of revoked certificates. */
export type SecretKind = 'certificate' | 'authority' | 'revocation';

/** A file that holds a secret; `place` is the beginning of its name, `owner` is at fault when the secret cannot be read. */
export type SecretFile = { readonly place: string; readonly kind: SecretKind; readonly ref: string; readonly owner: Owner };

/** What has become of a secret: a file of this name is or will be in the amphora, or the reason why there is none. */
export type SecretOutcome = { readonly name: string } | { readonly unreadable: string };

/** Outcomes by place. */
export type SecretOutcomes = ReadonlyMap<string, SecretOutcome>;

/** Does the listener end TLS? */
export const isTlsListener = (listener: Listener): boolean =>
  listener.protocol === 'TERMINATED_HTTPS' || (listener.protocol === 'PROMETHEUS' && certificateRefs(listener).length > 0);

/** The references of a listener's certificates, the default first, each once. */
function certificateRefs({ default_tls_container_ref, sni_container_refs }: Listener): readonly string[] {
  return [...new Set([default_tls_container_ref ?? '', ...sni_container_refs].filter((ref) => ref !== ''))];
}

const secretFile = (slot: string, kind: SecretKind, ref: string, owner: Owner): SecretFile => ({
  place: tlsPlace(slot, [ref]),
  kind,
  ref,
  owner,
});

/** The files of a listener's certificates; HAProxy shows the first to clients that name no other. Listeners share those for names (SNI). */
function certificateFiles(listener: Listener): SecretFile[] {
  const owner: Owner = { type: 'listener', id: listener.id };
  const slotOf = (ref: string) => (ref === listener.default_tls_container_ref ? `${listener.id}-default` : 'sni');
  return certificateRefs(listener).map((ref) => secretFile(slotOf(ref), 'certificate', ref, owner));
}

/** The files about a listener's clients: who certifies them, and which certificates are revoked. */
export function clientFiles(listener: Listener): { readonly ca: SecretFile | null; readonly crl: SecretFile | null } {
  const owner: Owner = { type: 'listener', id: listener.id };
  const { client_ca_tls_container_ref: ca, client_crl_container_ref: crl } = listener;
  return {
    ca: ca ? secretFile(`${listener.id}-ca`, 'authority', ca, owner) : null,
    crl: ca && crl ? secretFile(`${listener.id}-crl`, 'revocation', crl, owner) : null,
  };
}

/** The files of a pool: what it shows to members, who certifies them, and which of their certificates are revoked. */
export function poolFiles(pool: Pool): {
  readonly crt: SecretFile | null;
  readonly ca: SecretFile | null;
  readonly crl: SecretFile | null;
} {
  const owner: Owner = { type: 'pool', id: pool.id };
  const { tls_container_ref: crt, ca_tls_container_ref: ca, crl_container_ref: crl } = pool;
  return {
    crt: crt ? secretFile(`${pool.id}-crt`, 'certificate', crt, owner) : null,
    ca: ca ? secretFile(`${pool.id}-ca`, 'authority', ca, owner) : null,
    crl: ca && crl ? secretFile(`${pool.id}-crl`, 'revocation', crl, owner) : null,
  };
}

/** Every file with a secret that the configuration of this tree names, each place once. */
export function secretFilesOf(tree: LoadBalancerTree): readonly SecretFile[] {
  if (!tree.loadbalancer.admin_state_up) return [];
  const listeners = tree.listeners.filter((listener) => listener.admin_state_up && isServed(listener) && isTlsListener(listener));
  const pools = tree.pools.filter((pool) => pool.tls_enabled && pool.admin_state_up && isServed(pool));
  const files = [
    ...listeners.flatMap((listener) => [...certificateFiles(listener), ...Object.values(clientFiles(listener))]),
    ...pools.flatMap((pool) => Object.values(poolFiles(pool))),
  ].filter((file) => file !== null);
  return [...new Map(files.map((file) => [file.place, file])).values()];
}

/** Where a file lies in the amphora. Throws `Terminal` with its owner and the reason when there is none. */
export function secretPath(file: SecretFile, outcomes: SecretOutcomes, folder: string): string {
  const outcome = outcomes.get(file.place) ?? { unreadable: `${file.ref} was not read` };
  if ('unreadable' in outcome) throw new Terminal(file.owner, outcome.unreadable);
  return `${folder}/${outcome.name}`;
}

/** A listener's list of certificates (HAProxy manual, `crt-list`) as a file of the same folder. Throws `Terminal` as `secretPath` does. */
export function crtList(listener: Listener, outcomes: SecretOutcomes, folder: string): { readonly name: string; readonly text: string } {
  const paths = certificateFiles(listener).map((file) => secretPath(file, outcomes, folder));
  const text = paths.map((path) => `${path}\n`).join('');
  return { name: tlsFileName(tlsPlace(listener.id, certificateRefs(listener)), tlsFileMd5(text)), text };
}
