/** References to certificates in requests must be readable when the request is made. */
import { Fault } from '../../model/index.ts';
import type { Call } from '../call.ts';
import { pythonRepr } from './python-text.ts';
import type { JsonObject } from './validate.ts';

/** Throws `Fault` 400 that names every reference of a listener or a pool that cannot be read; what a request leaves out is not asked. */
export async function checkCertificates(call: Call, body: JsonObject): Promise<void> {
  const { certificates } = call.deps;
  if (certificates === undefined) return;
  const text = (name: string): string[] => (typeof body[name] === 'string' && body[name] !== '' ? [body[name]] : []);
  const sni = (body['sni_container_refs'] as (string | null)[] | null | undefined) ?? [];
  const unreadable = [
    ...(await certificates.findUnreadable([...text('default_tls_container_ref'), ...text('tls_container_ref'), ...sni], 'certificate')),
    ...(await certificates.findUnreadable([...text('client_ca_tls_container_ref'), ...text('ca_tls_container_ref')], 'authority')),
    ...(await certificates.findUnreadable([...text('client_crl_container_ref'), ...text('crl_container_ref')], 'revocation')),
  ];
  if (unreadable.length > 0) throw new Fault(400, `Could not retrieve certificate: ${pythonRepr(unreadable)}`);
}
