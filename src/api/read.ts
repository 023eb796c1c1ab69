/** Showing one resource and lists of resources. */
import { idsIn } from '../db/json-rows.ts';
import { type ListQuery, listQuery, type SortKey } from '../db/list.ts';
import { readMany } from '../db/read-many.ts';
import { Fault } from '../model/index.ts';
import type { Answer, Call } from './call.ts';
import { type Filters, readFields, readFilters, readLimit, readSort, readTags } from './request/list-args.ts';
import { enforce, projectOfList } from './policy/enforce.ts';
import { groupRelated, presenterOf, type Resource, type Row } from './resource.ts';

/** The fault for an id that names nothing (or nothing any more). */
export const notFound = (title: string, id: string | null): Fault => new Fault(404, `${title} ${id ?? 'None'} not found.`);

/**
 * Answers one resource by the id in the route; `where` narrows it further, such as to its pool. When the route goes on, nothing of it is
 * shown: the reference takes the rest for names of fields, each a letter.
 */
export async function showOne(
  call: Call,
  resource: Resource,
  where: readonly ListQuery['filters'][number][] = [],
  action = 'get_one',
): Promise<Answer> {
  const id = call.params['id'] ?? '';
  const { db, options } = call.deps;
  const ids = idsIn(db.dialect, [id]);
  const query = { ...everything, hideDeleted: resource.hideDeleted, filters: [{ column: idColumnOf(resource), value: id }, ...where] };
  const [rows, ...relations] = await readMany(db.read, [listQuery(db.read, resource.table, query), ...resource.relations(db.read, ids)]);
  const row = rows?.[0] as Row | undefined;
  if (row === undefined) throw notFound(resource.title, id);
  enforce(call, resource.policy, action, projectOfRow(call, resource, row));
  const only = readFields(call.query, options) ?? (call.params['field'] === undefined ? null : new Set<string>());
  return { status: 200, body: { [resource.root]: presenterOf(resource)(row, groupRelated(resource, relations), only) } };
}

const idColumnOf = (resource: Resource): string => resource.idColumn ?? 'id';

const hasProject = (resource: Resource): boolean => 'project_id' in resource.fields;

/** What belongs to no project is judged by the caller's own. */
const projectOfRow = (call: Call, resource: Resource, row: Row): string | null =>
  hasProject(resource) ? ((row['project_id'] as string | null) ?? null) : call.caller.project_id;

const everything: ListQuery = { filters: [], among: [], hideDeleted: null, tags: null, sort: [], from: null, limit: null };

/** What narrows a list besides the request's own filters. */
export type Scope = {
  readonly where?: readonly ListQuery['filters'][number][];
  /** The project was checked already, and rows are not limited to one. */
  readonly anyProject?: boolean;
  /** A project that the request names only narrows what the caller may see anyway, instead of being asked for. */
  readonly projectNarrows?: boolean;
  /** How a row is shown; default: the resource's presenter. */
  readonly show?: (row: Row, only: ReadonlySet<string> | null) => unknown;
};

/** Answers a list: filtered, sorted, paged, with links to its neighbours. */
export async function showMany(call: Call, resource: Resource, scope: Scope = {}): Promise<Answer> {
  const { query, deps } = call;
  const project_id = projectToList(call, resource, scope);
  const narrow = scope.projectNarrows === true ? askedProject(call) : null;
  const narrowed = narrow === null ? scope : { ...scope, where: [...(scope.where ?? []), { column: 'project_id', value: narrow }] };
  const filters = readFilters(resource, query, deps.options);
  const sort = readSort(resource, query, deps.options, idColumnOf(resource));
  const limit = readLimit(query, deps.options);
  const page = await readPage(call, resource, narrowed, { filters, sort, limit, project_id });
  const rows = page.backwards ? page.rows.toReversed() : page.rows;
  const shown = await presentRows(call, resource, scope, rows);
  const links = deps.options.allow_pagination ? pageLinks(call, rows, limit, idColumnOf(resource)) : [];
  return { status: 200, body: { [resource.plural]: shown, [resource.links ?? `${resource.plural}_links`]: links } };
}

/** The project that a list is limited to; null: none. */
function projectToList(call: Call, resource: Resource, scope: Scope): string | null {
  if (!hasProject(resource)) {
    if (scope.anyProject !== true) enforce(call, resource.policy, 'get_all', call.caller.project_id);
    return null;
  }
  const asked = askedProject(call);
  if (scope.anyProject === true) return asked;
  return projectOfList(call, resource.policy, scope.projectNarrows === true ? null : asked);
}

const askedProject = (call: Call): string | null => call.query.last('project_id') ?? null;

type Page = {
  readonly filters: Filters;
  readonly sort: readonly SortKey[];
  readonly limit: number | null;
  readonly project_id: string | null;
};

async function readPage(call: Call, resource: Resource, scope: Scope, page: Page): Promise<{ rows: readonly Row[]; backwards: boolean }> {
  const { query, deps } = call;
  const from = await readMarker(call, resource, page.sort);
  const backwards = from?.backwards ?? false;
  if (page.filters === null) return { rows: [], backwards };
  const where = page.project_id === null ? [] : [{ column: 'project_id', value: page.project_id }];
  const rows = await listQuery(deps.db.read, resource.table, {
    filters: [...where, ...(scope.where ?? []), ...page.filters.filters],
    among: page.filters.among,
    hideDeleted: resource.hideDeleted,
    tags: 'tags' in resource.fields ? readTags(query, deps.options) : null,
    sort: page.sort,
    from,
    limit: page.limit,
  }).execute();
  return { rows: rows as Row[], backwards };
}

async function readMarker(call: Call, resource: Resource, sort: readonly SortKey[]): Promise<ListQuery['from']> {
  const marker = call.deps.options.allow_pagination ? call.query.last('marker') : undefined;
  if (marker === undefined) return null;
  const query = { ...everything, hideDeleted: resource.hideDeleted, filters: [{ column: idColumnOf(resource), value: marker }] };
  const row = (await listQuery(call.deps.db.read, resource.table, query).executeTakeFirst()) as Row | undefined;
  if (row === undefined) throw new Fault(400, `Supplied pagination marker '${marker}' is not valid.`);
  // The reference knows this one spelling of true.
  return {
    values: sort.map((key) => row[key.column] as string | number | boolean | null),
    backwards: call.query.last('page_reverse') === 'True',
  };
}

async function presentRows(call: Call, resource: Resource, scope: Scope, rows: readonly Row[]): Promise<unknown[]> {
  const only = readFields(call.query, call.deps.options);
  const { show } = scope;
  if (show !== undefined) return rows.map((row) => show(row, only));
  const present = presenterOf(resource);
  const needsRelated = rows.length > 0 && (only === null || [...only].some((name) => Object.hasOwn(resource.shown, name)));
  const { db } = call.deps;
  const ids = idsIn(
    db.dialect,
    rows.map((row) => row['id'] as string),
  );
  const relations = needsRelated ? await readMany(db.read, resource.relations(db.read, ids)) : [];
  const related = groupRelated(resource, relations);
  return rows.map((row) => present(row, related, only));
}

/** `previous` when the request had a marker, `next` when the page is full or has no limit (as the reference does). */
function pageLinks(call: Call, rows: readonly Row[], limit: number | null, idColumn: string): unknown[] {
  const first = rows[0];
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return [];
  const { query } = call;
  const kept = ['sort', 'sort_key'].flatMap((name) =>
    query.last(name)
      ? [
          `${name}=${encodeURIComponent(query.last(name) ?? '')
            .replaceAll('%3A', ':')
            .replaceAll('%2C', ',')}`,
        ]
      : [],
  );
  const href = (row: Row, ...more: string[]): string =>
    `${call.base_url}${call.path}?${[`limit=${limit ?? 'None'}`, ...kept, `marker=${encodeURIComponent(row[idColumn] as string)}`, ...more].join('&')}`;
  const links: unknown[] = [];
  if (query.last('marker')) links.push({ rel: 'previous', href: href(first, 'page_reverse=True') });
  if (limit === null || rows.length >= limit) links.push({ rel: 'next', href: href(last) });
  return links;
}
