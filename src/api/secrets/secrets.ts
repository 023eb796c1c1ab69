/** `/v1/secrets` (Barbican's API reference, "Secrets"). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { timestamp, type Payload, type SecretSpec } from '../../cloud/local/secrets/key-manager.ts';
import { secretTypes, type Consumer, type StoredSecret } from '../../cloud/local/secrets/records.ts';
import type { Caller } from '../../cloud/identity.ts';
import { Fault } from '../../model/faults.ts';
import { header, noContent, queryOf } from '../identity/http.ts';
import { invalid, type JsonObject, readBody, requireType, type Shape } from './body.ts';
import { callerOf, linkTo, requireList, requireMake, requireMay, secretOf, type SecretsContext, speaksConsumers } from './context.ts';
import { fitsTime, pageBody, pageOf, type Query, sorted, textIn, timeOf } from './list.ts';
import { acceptedType, contentTypeOf, decodeBody, decodePayload } from './payload.ts';

const shape: Shape = {
  name: { type: 'string', nullable: true, max: 255 },
  algorithm: { type: 'string', nullable: true, max: 255 },
  mode: { type: 'string', nullable: true, max: 255 },
  bit_length: { type: 'integer', nullable: true, min: 1, max: 32_767 },
  expiration: { type: 'string', nullable: true, max: 255 },
  payload: { type: 'string' },
  secret_type: { type: 'string', choices: secretTypes },
  payload_content_type: { type: 'string', nullable: true, max: 255 },
  payload_content_encoding: { type: 'string', nullable: true, max: 255, choices: ['base64'] },
};

const sortKeys = ['algorithm', 'bit_length', 'created', 'expiration', 'mode', 'name', 'secret_type', 'status', 'updated'];

/** Adds the routes. */
export function addSecretRoutes(scope: FastifyInstance, context: SecretsContext): void {
  const { keyManager } = context;
  scope.get('/secrets', async (request) => {
    const caller = await callerOf(context, request);
    requireList(caller, 'Secret(s) retrieval');
    const query = queryOf(request);
    const isShared = textIn(query, 'acl_only')?.toLowerCase() === 'true' && caller.user_id !== null;
    const all = isShared ? await keyManager.listShared(caller.user_id) : await keyManager.listSecrets(caller.project_id);
    const page = pageOf(selected(all, query), query);
    const consumers = await consumersIn(context, request, page.items);
    const show = (secret: StoredSecret): object => secretBody(context, request, secret, consumers?.get(secret.id));
    return pageBody('secrets', page, show, (text) => linkTo(context, request, `/secrets${text}`));
  });
  scope.post('/secrets', async (request, reply) => {
    const caller = await callerOf(context, request);
    requireMake(caller, 'Secret creation');
    const body = readBody(request, 'Secret', shape);
    const secret = await keyManager.createSecret(specOf(context, body, caller), payloadIn(context, body));
    const secret_ref = linkTo(context, request, `/secrets/${secret.id}`);
    return reply.code(201).header('location', secret_ref).send({ secret_ref });
  });
  scope.get('/secrets/:id', async (request, reply) => {
    const caller = await callerOf(context, request);
    const secret = await secretOf(context, request);
    const accept = header(request, 'accept') ?? '*/*';
    if (!/^(?:application\/json|\*\/\*|)$/iu.test(accept.split(/[;,]/u)[0]?.trim() ?? ''))
      return sendPayload(context, request, reply, caller, secret);
    await requireMay(context, 'show', caller, secret, 'Secret retrieval');
    return secretBody(context, request, secret, (await consumersIn(context, request, [secret]))?.get(secret.id));
  });
  scope.get('/secrets/:id/payload', async (request, reply) => {
    const caller = await callerOf(context, request);
    return sendPayload(context, request, reply, caller, await secretOf(context, request));
  });
  scope.put('/secrets/:id', async (request, reply) => {
    const caller = await callerOf(context, request);
    const secret = await secretOf(context, request);
    await requireMay(context, 'change', caller, secret, 'Secret update');
    requireType(request, ['application/octet-stream', 'text/plain']);
    await keyManager.putPayload(secret, decodeBody(request, keyManager.max_bytes));
    return noContent(reply);
  });
  scope.delete('/secrets/:id', async (request, reply) => {
    const caller = await callerOf(context, request);
    const secret = await secretOf(context, request);
    await requireMay(context, 'change', caller, secret, 'Secret deletion');
    await keyManager.deleteSecret(secret);
    return noContent(reply);
  });
}

async function sendPayload(
  context: SecretsContext,
  request: FastifyRequest,
  reply: FastifyReply,
  caller: Caller,
  secret: StoredSecret,
): Promise<FastifyReply> {
  await requireMay(context, 'decrypt', caller, secret, 'Secret payload retrieval');
  const payload = await context.keyManager.readPayload(secret.id);
  if (payload === null) throw new Fault(404, 'Not Found. Sorry but your secret has no payload.');
  const type = acceptedType(header(request, 'accept'), secret, payload);
  // Whatever a browser is told it is, it must not think that it is a page.
  return reply.headers({ 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }).send(payload);
}

function specOf(context: SecretsContext, body: JsonObject, caller: Caller): SecretSpec {
  return {
    project_id: caller.project_id,
    creator_id: caller.user_id,
    name: (body['name'] as string | null | undefined) ?? null,
    secret_type: (body['secret_type'] as StoredSecret['secret_type'] | undefined) ?? 'opaque',
    algorithm: (body['algorithm'] as string | null | undefined) ?? null,
    bit_length: (body['bit_length'] as number | null | undefined) ?? null,
    mode: (body['mode'] as string | null | undefined) ?? null,
    expiration: expirationOf(context, body['expiration'] as string | null | undefined),
  };
}

function expirationOf(context: SecretsContext, text: string | null | undefined): string | null {
  if (text === undefined || text === null || text === '') return null;
  const ms = timeOf(text);
  if (ms === null) throw invalid('Secret', "Invalid date for 'expiration'", 'expiration');
  const time = timestamp(ms);
  if (time <= context.keyManager.now()) throw invalid('Secret', "'expiration' is before current time", 'expiration');
  return time;
}

function payloadIn(context: SecretsContext, body: JsonObject): Payload | null {
  const type = body['payload_content_type'] as string | null | undefined;
  const payload = body['payload'] as string | undefined;
  if (payload !== undefined)
    return decodePayload(
      payload,
      type ?? null,
      (body['payload_content_encoding'] as string | null | undefined) ?? null,
      context.keyManager.max_bytes,
    );
  if (type !== undefined && type !== null)
    throw invalid('Secret', 'payload must be provided when payload_content_type is specified', 'payload');
  return null;
}

function selected(secrets: readonly StoredSecret[], query: Query): readonly StoredSecret[] {
  const [name, algorithm, mode, secret_type] = ['name', 'alg', 'mode', 'secret_type'].map((each) => textIn(query, each));
  const bits = Number(textIn(query, 'bits') ?? 0) || 0;
  const times = (['created', 'updated', 'expiration'] as const).flatMap((each) => {
    const filter = textIn(query, each);
    return filter === undefined ? [] : [[each, filter] as const];
  });
  for (const [, filter] of times) fitsTime(null, filter);
  const found = secrets.filter(
    (secret) =>
      (name === undefined || secret.name === name) &&
      (algorithm === undefined || secret.algorithm?.toLowerCase() === algorithm.toLowerCase()) &&
      (mode === undefined || secret.mode?.toLowerCase() === mode.toLowerCase()) &&
      (secret_type === undefined || secret.secret_type === secret_type) &&
      (bits === 0 || secret.bit_length === bits) &&
      times.every(([each, filter]) => fitsTime(secret[each], filter)),
  );
  const sort = textIn(query, 'sort');
  return sort === undefined ? found : sorted(found, sort, sortKeys);
}

/** Consumers by secret; undefined: the client speaks a version without them. */
async function consumersIn(
  context: SecretsContext,
  request: FastifyRequest,
  secrets: readonly StoredSecret[],
): Promise<ReadonlyMap<string, readonly Consumer[]> | undefined> {
  if (!speaksConsumers(request)) return undefined;
  const lists = await Promise.all(secrets.map(async ({ id }) => [id, await context.keyManager.listConsumers(id)] as const));
  return new Map(lists);
}

/** A secret as the API shows it, without its payload. */
export function secretBody(
  context: SecretsContext,
  request: FastifyRequest,
  secret: StoredSecret,
  consumers: readonly Consumer[] | undefined,
): object {
  const { id, created, updated, name, secret_type, expiration, algorithm, bit_length, mode, creator_id } = secret;
  const type = contentTypeOf(secret);
  return {
    created,
    updated,
    status: 'ACTIVE',
    name,
    secret_type,
    expiration: expiration?.replace('.000000', '') ?? null,
    algorithm,
    bit_length,
    mode,
    creator_id,
    ...(type === null ? {} : { content_types: { default: type } }),
    secret_ref: linkTo(context, request, `/secrets/${id}`),
    ...(consumers === undefined ? {} : { consumers: consumers.map(({ fields }) => fields) }),
  };
}
