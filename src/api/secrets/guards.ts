/** What secrets and containers have in common: ACLs and consumers. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Entity, StoredContainer, StoredSecret } from '../../cloud/local/secrets/records.ts';
import { Fault } from '../../model/faults.ts';
import { queryOf } from '../identity/http.ts';
import { invalid, isObject, type JsonObject, readBody, type Shape } from './body.ts';
import { callerOf, containerOf, linkTo, requireMay, secretOf, type SecretsContext } from './context.ts';
import { containerBody } from './containers.ts';
import { pageBody, pageOf } from './list.ts';
import { secretBody } from './secrets.ts';

type Kind = {
  readonly path: 'secrets' | 'containers';
  readonly noun: 'Secret' | 'Container';
  readonly find: (request: FastifyRequest) => Promise<Entity>;
  readonly show: (request: FastifyRequest, entity: Entity) => Promise<object> | object;
  readonly schema: string;
  readonly shape: Shape;
  readonly fields: readonly string[];
};

/** The most users that an ACL names. */
const MAX_USERS = 1000;
/** The most consumers that clients enter. */
const MAX_CONSUMERS = 1000;

/** Adds the routes of both. */
export function addGuardRoutes(scope: FastifyInstance, context: SecretsContext): void {
  const text = { type: 'string', required: true, min: 1, max: 255 } as const;
  const kinds: readonly Kind[] = [
    {
      path: 'secrets',
      noun: 'Secret',
      find: (request) => secretOf(context, request),
      show: async (request, entity) =>
        secretBody(context, request, entity as StoredSecret, await context.keyManager.listConsumers(entity.id)),
      schema: 'Secret Consumer',
      shape: { service: text, resource_type: text, resource_id: { ...text, max: 255 } },
      fields: ['service', 'resource_type', 'resource_id'],
    },
    {
      path: 'containers',
      noun: 'Container',
      find: (request) => containerOf(context, request),
      show: (request, entity) => containerBody(context, request, entity as StoredContainer),
      schema: 'Consumer',
      shape: { name: { ...text, max: 36 }, URL: text },
      fields: ['name', 'URL'],
    },
  ];
  for (const kind of kinds) {
    addAclRoutes(scope, context, kind);
    addConsumerRoutes(scope, context, kind);
  }
}

function addAclRoutes(scope: FastifyInstance, context: SecretsContext, { path, noun, find }: Kind): void {
  const { keyManager } = context;
  const url = `/${path}/:id/acl`;
  scope.get(url, async (request) => {
    const caller = await callerOf(context, request);
    const entity = await find(request);
    await requireMay(context, 'show_acl', caller, entity, `${noun}ACL(s) retrieval`);
    const acl = await keyManager.findAcl(entity.id);
    if (acl === null) return { read: { 'project-access': true } };
    const { users, project_access, created, updated } = acl;
    return { read: { 'project-access': project_access, users, created, updated } };
  });
  for (const method of ['PUT', 'PATCH'] as const)
    scope.route({
      method,
      url,
      handler: async (request) => {
        const caller = await callerOf(context, request);
        const entity = await find(request);
        await requireMay(context, 'change_acl', caller, entity, `${noun}ACL(s) Update`);
        const given = readIn(readBody(request, 'ACL', { read: { type: 'object' } }));
        const before = method === 'PATCH' ? await keyManager.findAcl(entity.id) : null;
        if (given !== null) {
          const { users = before?.users ?? [], project_access = before?.project_access ?? true } = given;
          await keyManager.putAcl(entity, { users, project_access });
        } else if (method === 'PUT') await keyManager.putAcl(entity, null);
        return { acl_ref: linkTo(context, request, `/${path}/${entity.id}/acl`) };
      },
    });
  scope.delete(url, async (request) => {
    const caller = await callerOf(context, request);
    const entity = await find(request);
    await requireMay(context, 'change_acl', caller, entity, `${noun}ACL(s) deletion`);
    await keyManager.putAcl(entity, null);
    return null;
  });
}

type GivenAcl = { readonly users?: readonly string[]; readonly project_access?: boolean };

function readIn(body: JsonObject): GivenAcl | null {
  const stranger = Object.keys(body).find((name) => name !== 'read');
  if (stranger !== undefined) throw invalid('ACL', 'Additional properties are not allowed', stranger.slice(0, 64));
  const read = body['read'];
  if (!isObject(read) || Object.keys(read).length === 0) return null;
  const { users, 'project-access': project_access, ...more } = read;
  if (Object.keys(more).length > 0) throw invalid('ACL', 'Additional properties are not allowed', 'read');
  if (project_access !== undefined && typeof project_access !== 'boolean')
    throw invalid('ACL', "project-access is not of type 'boolean'", 'read');
  if (users !== undefined && !isUsers(users)) throw invalid('ACL', "users is not an array of type 'string'", 'read');
  return { ...(users === undefined ? {} : { users }), ...(project_access === undefined ? {} : { project_access }) };
}

const isUsers = (users: unknown): users is readonly string[] =>
  Array.isArray(users) &&
  users.length <= MAX_USERS &&
  users.every((user) => typeof user === 'string' && user.length <= 255 && !user.includes('\u0000'));

function addConsumerRoutes(scope: FastifyInstance, context: SecretsContext, kind: Kind): void {
  const { keyManager } = context;
  const { path, noun, find, show, schema, shape, fields } = kind;
  const url = `/${path}/:id/consumers`;
  const fieldsIn = (body: JsonObject): Record<string, string> => Object.fromEntries(fields.map((name) => [name, String(body[name])]));
  scope.get(url, async (request) => {
    const caller = await callerOf(context, request);
    const entity = await find(request);
    await requireMay(context, 'show', caller, entity, `${noun}Consumers(s) retrieval`);
    const page = pageOf(await keyManager.listConsumers(entity.id), queryOf(request));
    return pageBody(
      'consumers',
      page,
      (each) => ({ created: each.created, updated: each.updated, status: 'ACTIVE', ...each.fields }),
      (text) => linkTo(context, request, `/${path}/${entity.id}/consumers${text}`),
    );
  });
  scope.post(url, async (request, reply) => {
    const caller = await callerOf(context, request);
    const entity = await find(request);
    await requireMay(context, 'show', caller, entity, `${noun}Consumer creation`);
    const given = fieldsIn(readBody(request, schema, shape));
    if ((await keyManager.listConsumers(entity.id)).length >= MAX_CONSUMERS)
      throw new Fault(413, 'Provided information too large to process');
    await keyManager.addConsumer(entity.id, { project_id: caller.project_id, fields: given, loadbalancer_id: null });
    reply.header('location', linkTo(context, request, `/consumers/${entity.id}/consumers`));
    return show(request, entity);
  });
  scope.delete(url, async (request) => {
    const caller = await callerOf(context, request);
    const entity = await find(request);
    await requireMay(context, 'show', caller, entity, `${noun}Consumer deletion`);
    const consumer = await keyManager.findConsumer(entity.id, fieldsIn(readBody(request, schema, shape)));
    if (consumer === null) throw new Fault(404, 'Consumer not found.');
    const isOurs = consumer.project_id === caller.project_id || entity.project_id === caller.project_id;
    // What a load balancer uses it uses, whatever a client says.
    if (!isOurs || consumer.loadbalancer_id !== null)
      throw new Fault(403, 'Not Allowed. Sorry, only the creator of a consumer can delete it.');
    await keyManager.removeConsumer(consumer.id);
    return show(request, entity);
  });
}
