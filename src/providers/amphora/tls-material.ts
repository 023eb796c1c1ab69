/** From the secrets that a tree refers to, to files for its amphorae: read, remembered, and matched with what an amphora has. */
import { type Secrets, UnusableSecret } from '../../cloud/secrets.ts';
import { Secret } from '../../lib/secret.ts';
import { type LoadBalancerTree, Retry } from '../../model/index.ts';
import { parseTlsFileName, tlsFileMd5, tlsFileName } from '../../wire/tls-files.ts';
import type { WantedFile } from './observed.ts';
import { type SecretFile, secretFilesOf, type SecretOutcome, type SecretOutcomes } from './render/tls-files.ts';

/** A secret as a file would have it, or why it cannot be had; `may_pass`: only for now. */
export type SecretReading =
  | { readonly content: Secret; readonly md5: string }
  | { readonly unreadable: string; readonly may_pass: boolean; readonly cause: unknown };

/** What was read for a tree. */
export type SecretReadings = { readonly files: readonly SecretFile[]; readonly readings: ReadonlyMap<string, SecretReading> };

/** What an amphora is to have: the outcome of each place for the renderer, and the files by name. */
export type PlacedSecrets = { readonly outcomes: SecretOutcomes; readonly tls_files: ReadonlyMap<string, WantedFile> };

type Remembered = { readonly version: string; readonly content: Secret; readonly md5: string };

/** Most secrets and load balancers that are remembered. */
const limit = 2000;

/**
 * Reads secrets by way of their versions: what has not changed is not read again. What was read once serves as long as the
 * key manager does not answer.
 */
export class TlsMaterial {
  readonly #secrets: Secrets | null;
  readonly #remembered = new Map<string, Remembered>();
  /** References by load balancer, as last told to the key manager. */
  readonly #told = new Map<string, string>();

  /** @param secrets null: there is no key manager, and nothing can be read */
  constructor(secrets: Secrets | null) {
    this.#secrets = secrets;
  }

  /** Reads all that the configuration of a tree names, and tells the key manager what is in use. Never throws. */
  async read(tree: LoadBalancerTree): Promise<SecretReadings> {
    const { id, project_id } = tree.loadbalancer;
    const isGoing = tree.loadbalancer.provisioning_status === 'PENDING_DELETE';
    const files = isGoing ? [] : secretFilesOf(tree);
    await this.#tellUses(id, project_id, referencesOf(tree), isGoing);
    const entries = await Promise.all(files.map(async (file) => [file.place, await this.#read(file, project_id)] as const));
    return { files, readings: new Map(entries) };
  }

  async #read(file: SecretFile, project_id: string | null): Promise<SecretReading> {
    const key = `${project_id} ${file.kind} ${file.ref}`;
    const known = this.#remembered.get(key);
    try {
      if (this.#secrets === null) throw new UnusableSecret(file.ref, 'not found', 'There is no key manager.');
      const reader = { by: 'controller', project_id } as const;
      const version = await this.#secrets.readVersion(file.ref, reader);
      if (known?.version === version) return known;
      const content = await contentOf(this.#secrets, file, project_id);
      const read = { version, content, md5: tlsFileMd5(content.reveal()) };
      remember(this.#remembered, key, read);
      return read;
    } catch (error) {
      if (error instanceof UnusableSecret) {
        this.#remembered.delete(key);
        return { unreadable: error.message, may_pass: false, cause: error };
      }
      if (known !== undefined) return known;
      const reason = error instanceof Error ? error.message : String(error);
      return { unreadable: `${file.ref} cannot be read: ${reason}`, may_pass: true, cause: error };
    }
  }

  async #tellUses(id: string, project_id: string | null, references: References, isGoing: boolean): Promise<void> {
    const { used, mentioned } = isGoing ? { used: [], mentioned: [] } : references;
    const text = JSON.stringify(used);
    const told = this.#told.get(id);
    if (this.#secrets === null || told === text || (told === undefined && mentioned.length === 0 && !isGoing)) return;
    try {
      await this.#secrets.recordUses({ id, project_id }, used);
      remember(this.#told, id, text);
    } catch {
      // It is told again with the next look: who counts uses may be late, traffic may not.
    }
  }
}

/** Matches what was read with the files that an amphora has. */
export function placeSecrets({ files, readings }: SecretReadings, held: ReadonlyMap<string, string>, isPatient: boolean): PlacedSecrets {
  const outcomes = new Map<string, SecretOutcome>();
  const tls_files = new Map<string, WantedFile>();
  for (const file of files) {
    const found = fileFor(file, readings.get(file.place), held, isPatient);
    outcomes.set(file.place, found);
    if ('file' in found) tls_files.set(found.name, found.file);
  }
  return { outcomes, tls_files };
}

type Found = { readonly name: string; readonly file: WantedFile } | { readonly unreadable: string };

/**
 * What cannot be read but was made into a file before goes on as it is: tenants delete secrets when they have served, and
 * that must not end their traffic. Throws `Retry` while it may pass and there is nothing to go on with.
 */
function fileFor(file: SecretFile, reading: SecretReading | undefined, held: ReadonlyMap<string, string>, isPatient: boolean): Found {
  if (reading === undefined) return { unreadable: `${file.ref} was not read` };
  if ('content' in reading) return { name: tlsFileName(file.place, reading.md5), file: { md5: reading.md5, content: reading.content } };
  for (const [name, md5] of held)
    if (name.startsWith(`${file.place}.`) && parseTlsFileName(name)?.md5 === md5) return { name, file: { md5, content: null } };
  if (reading.may_pass && isPatient) throw new Retry(reading.unreadable, { cause: reading.cause });
  return { unreadable: reading.unreadable };
}

/** One PEM text as HAProxy reads it: the certificate, its chain, its key; or the authorities or lists. */
async function contentOf(secrets: Secrets, file: SecretFile, project_id: string | null): Promise<Secret> {
  const reader = { by: 'controller', project_id } as const;
  switch (file.kind) {
    case 'certificate': {
      const { certificate, intermediates, key } = await secrets.readCertificate(file.ref, reader);
      return new Secret([certificate, ...intermediates, key.reveal()].join(''));
    }
    case 'authority':
      return new Secret(await secrets.readAuthorities(file.ref, reader));
    case 'revocation':
      return new Secret(await secrets.readRevocations(file.ref, reader));
  }
}

type References = { readonly used: readonly string[]; readonly mentioned: readonly string[] };

/** All references of a tree: those of what stays, and those of what is being deleted, too. */
function referencesOf(tree: LoadBalancerTree): References {
  const refsOf = (resource: LoadBalancerTree['listeners'][number] | LoadBalancerTree['pools'][number]): string[] =>
    [
      ...('default_tls_container_ref' in resource
        ? [
            resource.default_tls_container_ref,
            ...resource.sni_container_refs,
            resource.client_ca_tls_container_ref,
            resource.client_crl_container_ref,
          ]
        : [resource.tls_container_ref, resource.ca_tls_container_ref, resource.crl_container_ref]),
    ].filter((ref): ref is string => ref !== null && ref !== '');
  const all = [...tree.listeners, ...tree.pools];
  const stays = all.filter((each) => each.provisioning_status !== 'PENDING_DELETE');
  return { used: [...new Set(stays.flatMap(refsOf))].toSorted(), mentioned: all.flatMap(refsOf) };
}

/** Keeps an entry, and forgets the oldest when there are many. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > limit && oldest !== undefined) map.delete(oldest);
}
