/** References to certificates in requests must be readable by whoever sends them, when the request is made. */
import type { StoredRecord } from '../../cloud/local/record-store.ts';
import { type SecretReader, type Secrets, UnusableSecret } from '../../cloud/secrets.ts';
import { areSignedBy } from '../../cloud/tls/revocations.ts';
import { Fault, type Listener, type Pool } from '../../model/index.ts';
import { refusal } from '../../model/rules/listener.ts';
import type { Call } from '../call.ts';
import { pythonRepr } from './python-text.ts';
import type { JsonObject } from './validate.ts';

/** Whose load balancer it is for, and what an update changes. */
export type CertificateUse = { readonly project_id: string | null; readonly before?: Listener | Pool };

/**
 * Checks what a listener or a pool refers to; what a request leaves out is not asked. Throws `Fault` 400 that names every
 * certificate that cannot be read, or says what is wrong with the authority or its list of revoked certificates; 503 when the key manager does not answer.
 */
export async function checkCertificates(call: Call, body: JsonObject, use: CertificateUse): Promise<void> {
  const { secrets } = call.deps;
  if (secrets === undefined) return;
  const { caller, token } = call;
  // What is refused later must not have let controllers read anything.
  const note = (record: StoredRecord): void => void call.pending.push(record);
  const reader: SecretReader = { by: 'caller', caller, token, project_id: use.project_id, note };
  const sni = (body['sni_container_refs'] as (string | null)[] | null | undefined) ?? [];
  const own = [body['default_tls_container_ref'], body['tls_container_ref']].filter(
    (ref): ref is string => typeof ref === 'string' && ref !== '',
  );
  await readAll(secrets, [...sni, ...own], reader);
  await checkAuthority(secrets, body, use, reader);
}

async function readAll(secrets: Secrets, refs: readonly (string | null)[], reader: SecretReader): Promise<void> {
  const unreadable: (string | null)[] = [];
  for (const ref of refs) {
    try {
      await secrets.readCertificate(ref ?? '', reader);
    } catch (error) {
      if (!(error instanceof UnusableSecret)) throw error;
      // The reason is worth more than the name here, and tells nothing that the caller could not read itself.
      if (error.why === 'unreadable bundle' || error.why === 'nameless') throw new Fault(400, error.message, { cause: error });
      unreadable.push(ref);
    }
  }
  if (unreadable.length > 0) throw cannotRetrieve(unreadable);
}

/** An authority and its list are looked at together, the stored one with the one that the request brings. */
async function checkAuthority(secrets: Secrets, body: JsonObject, { before }: CertificateUse, reader: SecretReader): Promise<void> {
  const names = ['client_ca_tls_container_ref', 'ca_tls_container_ref', 'client_crl_container_ref', 'crl_container_ref'];
  if (!names.some((name) => typeof body[name] === 'string' && body[name] !== '')) return;
  const value = (...either: readonly string[]): string | null => {
    const name = either.find((each) => Object.hasOwn(body, each));
    const stored = before as unknown as JsonObject | undefined;
    const found = name === undefined ? either.map((each) => stored?.[each]).find((each) => typeof each === 'string') : body[name];
    return typeof found === 'string' && found !== '' ? found : null;
  };
  const authority_ref = value('client_ca_tls_container_ref', 'ca_tls_container_ref');
  const list_ref = value('client_crl_container_ref', 'crl_container_ref');
  // A list without authority is refused by the rules of the resource.
  if (authority_ref === null) return;
  const unreadable: string[] = [];
  const authority = await tried(secrets.readAuthorities(authority_ref, reader), unreadable);
  const list = list_ref === null ? '' : await tried(secrets.readRevocations(list_ref, reader), unreadable);
  if (unreadable.length > 0) throw cannotRetrieve(unreadable);
  if (authority === null)
    throw refusal(
      'The client authentication CA certificate is invalid. It must be a valid x509 PEM format certificate. Error: Unable to load PEM file.',
    );
  if (list === null)
    throw refusal(
      'The client authentication certificate revocation list is invalid. It must be a valid x509 PEM format certificate revocation list. Error: Unable to load PEM file.',
    );
  if (list !== '' && !areSignedBy(list, authority))
    throw refusal('The CRL specified is not valid for client certificate authority reference supplied.');
}

/** Null: there is something, but not what it should be. */
async function tried(reading: Promise<string>, unreadable: string[]): Promise<string | null> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof UnusableSecret)) throw error;
    if (error.why === 'not found') unreadable.push(error.ref);
    return null;
  }
}

const cannotRetrieve = (refs: readonly (string | null)[]): Fault => new Fault(400, `Could not retrieve certificate: ${pythonRepr(refs)}`);
