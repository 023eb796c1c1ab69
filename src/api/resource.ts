/**
 * What every resource of the API has in common: how it is shown, found and listed. A resource is a table of fields plus
 * the few things that only it has; adding one needs no new code here.
 */
import type { TSchema } from 'typebox';
import type { ListedTable, ListQuery } from '../db/list.ts';
import type { Readable } from '../db/read-many.ts';
import type { IdList } from '../db/rows.ts';
import type { Field, Fields } from '../model/index.ts';
import type { Reader } from './deps.ts';

/** A row as it comes from the database. */
export type Row = Readonly<Record<string, unknown>>;

/** Rows of other tables that an answer shows, by the id of the row that they belong to. */
export type Related = readonly ReadonlyMap<string, readonly unknown[]>[];

/** How one kind of related rows is grouped: by which column, and what of each row is shown. */
export type Grouping = { readonly by: string; readonly show: (row: Row) => unknown };

/** A resource of the API. */
export type Resource = {
  readonly table: ListedTable;
  /** JSON keys of one and of many. */
  readonly root: string;
  readonly plural: string;
  /** Key of the links of a page; default `<plural>_links`. */
  readonly links?: string;
  /** What messages call it: `Load Balancer`. */
  readonly title: string;
  /** What the reference's messages call its body: `load_balancer`. */
  readonly argument: string;
  /** Its name in the rules of who may do what. */
  readonly policy: string;
  readonly fields: Fields;
  /** The column that identifies a row; default `id`. */
  readonly idColumn?: string;
  /** Rows in this state are hidden; null: it has no such state. */
  readonly hideDeleted: ListQuery['hideDeleted'];
  readonly relations: (reader: Reader, ids: IdList) => readonly Readable<unknown>[];
  readonly groupings: readonly Grouping[];
  /** How fields are shown that are not simply a column. */
  readonly shown: Readonly<Record<string, (row: Row, related: Related) => unknown>>;
  /** Columns that may be filtered by although they are not shown. */
  readonly alsoFilters: readonly string[];
  /** Filters that are conditions on rows of another table. */
  readonly amongFilters?: Readonly<Record<string, Omit<ListQuery['among'][number], 'value'>>>;
};

/** Shows a row: every visible field, or only those in `only`. */
export type Presenter = (row: Row, related: Related, only?: ReadonlySet<string> | null) => Record<string, unknown>;

const presenters = new WeakMap<Resource, Presenter>();

/** The presenter of a resource, made once. */
export function presenterOf(resource: Resource): Presenter {
  const known = presenters.get(resource);
  if (known !== undefined) return known;
  const visible = Object.entries(resource.fields as Record<string, Field>).filter(([, field]) => field.hidden !== true);
  const steps = visible.map(([name, field]) => [name, resource.shown[name] ?? plainOf(name, field)] as const);
  const whenSet = Object.entries(resource.fields as Record<string, Field>).flatMap(([name, field]) =>
    field.shown_when_set === true ? [name] : [],
  );
  const hasProject = 'project_id' in resource.fields;
  const presenter: Presenter = (row, related, only = null) => {
    const answer: Record<string, unknown> = {};
    for (const [name, show] of steps) if (only === null || only.has(name)) answer[name] = show(row, related);
    // The older name is not a field that could be asked for.
    if (hasProject && only === null) answer['tenant_id'] = row['project_id'];
    for (const name of whenSet) if (row[name] !== null && (only === null || only.has(name))) answer[name] = row[name];
    return answer;
  };
  presenters.set(resource, presenter);
  return presenter;
}

function plainOf(name: string, field: Field): (row: Row) => unknown {
  // The reference shows an absent name or description as empty text.
  if (name === 'name' || name === 'description') return (row) => row[name] ?? '';
  if (field.computed === true) throw new Error(`field ${name} is computed, but nothing computes it`);
  return (row) => row[name];
}

/** Groups the rows of the relations, in the order of the resource's groupings. */
export function groupRelated(resource: Resource, relations: readonly (readonly unknown[])[]): Related {
  return resource.groupings.map(({ by, show }, index) => {
    const groups = new Map<string, unknown[]>();
    for (const row of (relations[index] ?? []) as readonly Row[]) {
      const key = row[by] as string;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [show(row)]);
      else group.push(show(row));
    }
    return groups;
  });
}

/** Shows the n-th relation of a row as a list. */
export const relatedList =
  (index: number) =>
  (row: Row, related: Related): readonly unknown[] =>
    related[index]?.get(row['id'] as string) ?? [];

const nullables = new WeakSet<(row: Row, related: Related) => unknown>();

/** Shows a list column that means "not set" when it is empty as null. */
export function nullWhenEmpty(name: string): (row: Row) => unknown {
  const show = (row: Row): unknown => ((row[name] as readonly unknown[]).length === 0 ? null : row[name]);
  nullables.add(show);
  return show;
}

/** May a list be shown as null? */
export const isShownAsNull = (show: ((row: Row, related: Related) => unknown) | undefined): boolean =>
  show !== undefined && nullables.has(show);

/** Shows a row's id as a reference. */
export const asRef = (row: Row): unknown => ({ id: row['id'] });

/** Shows a row of the tag table. */
export const asTag = (row: Row): unknown => row['tag'];

/** How the values of a column compare: the type behind its schema. */
export type ValueKind = 'text' | 'integer' | 'number' | 'boolean' | 'json';

/** The kind of a schema's values. */
export function kindOf(schema: TSchema): ValueKind {
  const { type, anyOf } = schema as { type?: string; anyOf?: TSchema[] };
  if (anyOf !== undefined) return kindOf(anyOf.find((each) => (each as { type?: string }).type !== 'null') as TSchema);
  if (type === 'integer' || type === 'number' || type === 'boolean') return type;
  return type === 'array' || type === 'object' ? 'json' : 'text';
}

/** May the values of a schema be null? */
export const isNullable = (schema: TSchema): boolean =>
  (schema as { anyOf?: { type?: string }[] }).anyOf?.some((each) => each.type === 'null') ?? false;
