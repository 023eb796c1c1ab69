/** `/v1/containers` (Barbican's API reference, "Containers"). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseSecretRef } from '../../cloud/secret-ref.ts';
import { containerTypes, type StoredContainer } from '../../cloud/local/secrets/records.ts';
import type { Caller } from '../../cloud/identity.ts';
import { Fault } from '../../model/faults.ts';
import { noContent, queryOf } from '../identity/http.ts';
import { invalid, isObject, type JsonObject, readBody, type Shape } from './body.ts';
import { callerOf, containerOf, linkTo, requireList, requireMake, requireMay, type SecretsContext } from './context.ts';
import { pageBody, pageOf, textIn } from './list.ts';

type Reference = StoredContainer['secret_refs'][number];

const shape: Shape = {
  name: { type: 'string', nullable: true, max: 255 },
  type: { type: 'string', required: true, choices: containerTypes },
  secret_refs: { type: 'array' },
};
const referenceShape: Shape = {
  name: { type: 'string', nullable: true, max: 255 },
  secret_ref: { type: 'string', required: true, min: 1, max: 512 },
};
/** More than anybody puts into one container. */
const MAX_REFERENCES = 200;

/** Which names each type takes, and with what words others are refused. */
const rules = {
  rsa: {
    required: ['public_key', 'private_key'],
    optional: ['private_key_passphrase'],
    unsupported: "only 'private_key', 'public_key' and 'private_key_passphrase' reference names are allowed for RSA type",
    missing: "The minimum required reference names are 'public_key' and'private_key' for RSA type",
  },
  certificate: {
    required: ['certificate'],
    optional: ['private_key', 'private_key_passphrase', 'intermediates'],
    unsupported:
      "only 'private_key', 'certificate' , 'private_key_passphrase',  or 'intermediates' reference names are allowed for Certificate type",
    missing: "The minimum required reference name is 'certificate' for Certificate type",
  },
} as const;

/** Adds the routes. */
export function addContainerRoutes(scope: FastifyInstance, context: SecretsContext): void {
  const { keyManager } = context;
  scope.get('/containers', async (request) => {
    const caller = await callerOf(context, request);
    requireList(caller, 'Containers(s) retrieval');
    const query = queryOf(request);
    const [name, type] = [textIn(query, 'name'), textIn(query, 'type')];
    const all = await keyManager.listContainers(caller.project_id);
    const page = pageOf(
      all.filter((each) => (name === undefined || each.name === name) && (type === undefined || each.type === type)),
      query,
    );
    const shown = new Map(
      await Promise.all(page.items.map(async (each) => [each.id, await containerBody(context, request, each)] as const)),
    );
    return pageBody(
      'containers',
      page,
      ({ id }) => shown.get(id) ?? {},
      (text) => linkTo(context, request, `/containers${text}`),
    );
  });
  scope.post('/containers', async (request, reply) => {
    const caller = await callerOf(context, request);
    requireMake(caller, 'Container creation');
    const body = readBody(request, 'Container', shape);
    const type = body['type'] as StoredContainer['type'];
    const secret_refs = referencesIn(body, type);
    for (const { name, secret_id } of secret_refs)
      await requireSecret(context, caller, secret_id, `Secret provided for '${name ?? 'None'}' doesn't exist.`);
    const name = (body['name'] as string | null | undefined) ?? null;
    const { project_id, user_id } = caller;
    const container = await keyManager.createContainer({ project_id, creator_id: user_id, name, type, secret_refs });
    const container_ref = linkTo(context, request, `/containers/${container.id}`);
    return reply.code(201).header('location', container_ref).send({ container_ref });
  });
  scope.get('/containers/:id', async (request) => {
    const caller = await callerOf(context, request);
    const container = await containerOf(context, request);
    await requireMay(context, 'show', caller, container, 'Container retrieval');
    return containerBody(context, request, container);
  });
  scope.delete('/containers/:id', async (request, reply) => {
    const caller = await callerOf(context, request);
    const container = await containerOf(context, request);
    await requireMay(context, 'change', caller, container, 'Container deletion');
    await keyManager.deleteContainer(container);
    return noContent(reply);
  });
  addGenericRoutes(scope, context);
}

/** Secrets of generic containers can be added and taken out. */
function addGenericRoutes(scope: FastifyInstance, context: SecretsContext): void {
  const { keyManager } = context;
  const changeable = async (
    request: FastifyRequest,
    operation: string,
  ): Promise<{ readonly caller: Caller; readonly container: StoredContainer }> => {
    const caller = await callerOf(context, request);
    const container = await containerOf(context, request);
    await requireMay(context, 'change', caller, container, operation);
    if (container.type !== 'generic') throw new Fault(400, "Only 'generic' containers can be modified.");
    return { caller, container };
  };
  scope.post('/containers/:id/secrets', async (request, reply) => {
    const { caller, container } = await changeable(request, 'Container Secret creation');
    const added = referenceIn(readBody(request, 'ContainerSecret', referenceShape), 'ContainerSecret');
    await requireSecret(context, caller, added.secret_id, "Secret provided doesn't exist.");
    if (container.secret_refs.some((each) => isSame(each, added)))
      throw new Fault(
        409,
        'Conflict. A secret with that name and ID is already stored in this container. The same secret can exist in a container as long as the name is unique.',
      );
    if (container.secret_refs.length >= MAX_REFERENCES) throw new Fault(413, 'Provided information too large to process');
    await keyManager.putSecretsOf(container, [...container.secret_refs, added]);
    const container_ref = linkTo(context, request, `/containers/${container.id}`);
    return reply.code(201).header('location', container_ref).send({ container_ref });
  });
  scope.delete('/containers/:id/secrets', async (request, reply) => {
    const { container } = await changeable(request, 'Container Secret deletion');
    const removed = referenceIn(readBody(request, 'ContainerSecret', referenceShape), 'ContainerSecret');
    if (!container.secret_refs.some((each) => isSame(each, removed))) throw new Fault(404, 'Secret provided is not in the container');
    await keyManager.putSecretsOf(
      container,
      container.secret_refs.filter((each) => !isSame(each, removed)),
    );
    return noContent(reply);
  });
}

const isSame = (one: Reference, other: Reference): boolean => one.secret_id === other.secret_id && one.name === other.name;

/** A secret of the caller's project; what it may not see does not exist for it. */
async function requireSecret(context: SecretsContext, caller: Caller, secret_id: string, refusal: string): Promise<void> {
  const secret = await context.keyManager.findSecret(secret_id);
  if (secret === null || (secret.project_id !== caller.project_id && caller.user_id !== null)) throw new Fault(404, refusal);
}

function referencesIn(body: JsonObject, type: StoredContainer['type']): readonly Reference[] {
  const given = (body['secret_refs'] as readonly unknown[] | undefined) ?? [];
  if (given.length > MAX_REFERENCES) throw new Fault(413, 'Provided information too large to process');
  const references = given.map((each) => {
    if (!isObject(each)) throw invalid('Container', "a reference is not of type 'object'", 'secret_refs');
    return referenceIn(each, 'Container');
  });
  if (references.length === 0) return references;
  const names = references.map(({ name }) => name ?? '');
  if (new Set(names).size < names.length) throw invalid('Container', 'Duplicate reference names are not allowed', 'secret_refs');
  if (new Set(references.map(({ secret_id }) => secret_id)).size < references.length)
    throw invalid('Container', 'Duplicate secret ids are not allowed', 'secret_refs');
  if (type !== 'generic') checkNames(names, rules[type]);
  return references;
}

function checkNames(names: readonly string[], rule: (typeof rules)[keyof typeof rules]): void {
  const known: readonly string[] = [...rule.required, ...rule.optional];
  if (names.some((name) => !known.includes(name))) throw invalid('Container', rule.unsupported, 'secret_refs');
  if (rule.required.some((name) => !names.includes(name))) throw invalid('Container', rule.missing, 'secret_refs');
}

function referenceIn(value: JsonObject, schema: string): Reference {
  const { name = null, secret_ref } = value;
  const isName = name === null || (typeof name === 'string' && name.length <= 255 && !name.includes('\u0000'));
  if (!isName) throw invalid(schema, "a name is not of type 'string', 'null'", 'name');
  const parsed = typeof secret_ref === 'string' ? parseSecretRef(secret_ref) : null;
  if (parsed === null || parsed.entity === 'container')
    throw invalid(schema, 'a secret_ref is not the reference of a secret', 'secret_ref');
  return { name, secret_id: parsed.id };
}

/** A container as the API shows it. */
export async function containerBody(context: SecretsContext, request: FastifyRequest, container: StoredContainer): Promise<object> {
  const { id, created, updated, name, type, creator_id, secret_refs } = container;
  const consumers = await context.keyManager.listConsumers(id);
  return {
    created,
    updated,
    status: 'ACTIVE',
    name,
    type,
    creator_id,
    secret_refs: secret_refs.map((each) => ({ name: each.name, secret_ref: linkTo(context, request, `/secrets/${each.secret_id}`) })),
    consumers: consumers.map(({ fields }) => fields),
    container_ref: linkTo(context, request, `/containers/${id}`),
  };
}
