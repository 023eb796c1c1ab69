/** What clients ask a key manager besides secrets and containers: notes on a secret, quotas, and what there is none of. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { StoredSecret } from '../../cloud/local/secrets/records.ts';
import { Fault } from '../../model/faults.ts';
import { noContent } from '../identity/http.ts';
import { invalid, isObject, readBody } from './body.ts';
import { callerOf, linkTo, requireList, requireMay, secretOf, type SecretsContext } from './context.ts';
import type { Action } from '../../cloud/local/secrets/access.ts';

/** The most notes on one secret. */
const MAX_NOTES = 100;

/** Adds the routes. */
export function addLesserRoutes(scope: FastifyInstance, context: SecretsContext): void {
  addMetadataRoutes(scope, context);
  const unlimited = { secrets: -1, orders: -1, containers: -1, consumers: -1, cas: -1 };
  scope.get('/quotas', async (request) => {
    requireList(await callerOf(context, request), 'Quotas');
    return { quotas: unlimited };
  });
  scope.get('/project-quotas', async (request) => {
    requireList(await callerOf(context, request), 'Project Quotas');
    return { project_quotas: [], total: 0 };
  });
  for (const name of ['orders', 'transport_keys', 'secret-stores', 'cas'])
    scope.get(`/${name}`, async (request) => {
      requireList(await callerOf(context, request), 'Retrieval');
      return { [name.replace('-', '_')]: [], total: 0 };
    });
}

/** `/v1/secrets/:id/metadata`: what users write on a secret, by key. */
function addMetadataRoutes(scope: FastifyInstance, context: SecretsContext): void {
  const { keyManager } = context;
  const allowed = async (request: FastifyRequest, action: Action, operation: string): Promise<StoredSecret> => {
    const caller = await callerOf(context, request);
    const secret = await secretOf(context, request);
    await requireMay(context, action, caller, secret, operation);
    return secret;
  };
  const keyOf = (request: FastifyRequest): string => String((request.params as { readonly key?: string }).key ?? '').toLowerCase();
  scope.get('/secrets/:id/metadata', async (request) => ({
    metadata: await keyManager.findNotes((await allowed(request, 'show', 'Secret metadata retrieval')).id),
  }));
  scope.put('/secrets/:id/metadata', async (request, reply) => {
    const secret = await allowed(request, 'change', 'Secret metadata creation');
    const { metadata } = readBody(request, 'SecretMetadata', { metadata: { type: 'object', required: true } });
    await keyManager.putNotes(secret.id, notesIn(metadata));
    return reply.code(201).send({ metadata_ref: linkTo(context, request, `/secrets/${secret.id}/metadata`) });
  });
  const pair = { key: { type: 'string', required: true, max: 255 }, value: { type: 'string', required: true, max: 255 } } as const;
  scope.post('/secrets/:id/metadata', async (request, reply) => {
    const secret = await allowed(request, 'change', 'Secret metadatum creation');
    const { key, value } = readBody(request, 'SecretMetadatum', pair);
    const [name = ''] = Object.keys(notesIn({ [String(key)]: value }));
    const notes = await keyManager.findNotes(secret.id);
    if (Object.hasOwn(notes, name)) throw new Fault(409, 'Conflict. Key in request is already in the secret metadata');
    await keyManager.putNotes(secret.id, notesIn({ ...notes, [name]: value }));
    return reply.code(201).send({ key: name, value });
  });
  scope.get('/secrets/:id/metadata/:key', async (request) => {
    const notes = await keyManager.findNotes((await allowed(request, 'show', 'Secret metadatum retrieval')).id);
    const key = keyOf(request);
    if (!Object.hasOwn(notes, key)) throw new Fault(404, 'Secret metadata not found.');
    return { key, value: notes[key] };
  });
  scope.put('/secrets/:id/metadata/:key', async (request) => {
    const secret = await allowed(request, 'change', 'Secret metadatum update');
    const key = keyOf(request);
    const given = readBody(request, 'SecretMetadatum', pair);
    if (String(given['key']).toLowerCase() !== key) throw new Fault(409, 'Conflict. Key in request does not match the one in the address');
    const notes = await keyManager.findNotes(secret.id);
    if (!Object.hasOwn(notes, key)) throw new Fault(404, 'Secret metadata not found.');
    await keyManager.putNotes(secret.id, notesIn({ ...notes, [key]: given['value'] }));
    return { key, value: given['value'] };
  });
  scope.delete('/secrets/:id/metadata/:key', async (request, reply) => {
    const secret = await allowed(request, 'change', 'Secret metadatum removal');
    const { [keyOf(request)]: gone, ...rest } = await keyManager.findNotes(secret.id);
    if (gone === undefined) throw new Fault(404, 'Secret metadata not found.');
    await keyManager.putNotes(secret.id, rest);
    return noContent(reply);
  });
}

function notesIn(value: unknown): Record<string, string> {
  const pairs = isObject(value) ? Object.entries(value) : [];
  if (pairs.length > MAX_NOTES) throw new Fault(413, 'Provided information too large to process');
  return Object.fromEntries(
    pairs.map(([key, text]) => {
      if (!/^[A-Za-z0-9_-]{1,255}$/u.test(key)) throw new Fault(400, 'Invalid key: keys must be lower case and safe in a URL.');
      if (typeof text !== 'string' || text.length > 255 || text.includes('\u0000'))
        throw invalid('SecretMetadata', 'a value is not a short text', 'metadata');
      return [key.toLowerCase(), text];
    }),
  );
}
