/** The schema of both databases, and how it comes into being. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { sql } from 'kysely';
import { columnsOf, resourceFields, storageOf, storageOfColumn } from '../../src/db/columns.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { NewerSchema } from '../../src/db/errors.ts';
import { migrate, type Migration, migrations } from '../../src/db/migrate.ts';
import { testDialect, withDatabase, withDatabaseUrl } from '../support/database.ts';

/** The columns of each table, and whether they may be null. */
async function schemaOf(db: Database): Promise<Map<string, Map<string, { type: string; nullable: boolean }>>> {
  const query =
    db.dialect === 'sqlite'
      ? sql`select m.name as "table", c.name as "column", lower(c.type) as type, c."notnull" = 0 and c.pk = 0 as nullable
            from sqlite_schema m join pragma_table_info(m.name) c where m.type = 'table'`
      : sql`select table_name as "table", column_name as "column", data_type as type, is_nullable = 'YES' as nullable
            from information_schema.columns where table_schema = current_schema()`;
  const { rows } = await (query as ReturnType<typeof sql<{ table: string; column: string; type: string; nullable: boolean }>>).execute(
    db.read,
  );
  const tables = Map.groupBy(rows, (row) => row.table);
  return new Map(
    [...tables].map(([name, columns]) => [name, new Map(columns.map((c) => [c.column, { type: c.type, nullable: Boolean(c.nullable) }]))]),
  );
}

test('each resource has exactly the columns of its fields, of the type and nullability of their schema', async (t) => {
  const schema = await schemaOf(await withDatabase(t));
  const boolean = testDialect === 'sqlite' ? 'integer' : 'boolean';
  for (const [table, fields] of Object.entries(resourceFields)) {
    const columns = schema.get(table)!;
    assert.deepEqual([...columns.keys()].toSorted(), columnsOf(fields).toSorted(), table);
    for (const name of columnsOf(fields)) {
      const { anyOf } = fields[name]!.schema as { anyOf?: { type?: string }[] };
      const isNullable = anyOf?.some(({ type }) => type === 'null') ?? false;
      assert.equal(columns.get(name)!.nullable, isNullable, `${table}.${name} nullable`);
      const storage = storageOf(fields[name]!.schema);
      if (storage === 'boolean') assert.equal(columns.get(name)!.type, boolean, `${table}.${name}`);
      if (storage === 'json') assert.equal(columns.get(name)!.type, 'text', `${table}.${name}`);
    }
  }
});

test('a column name means the same kind of storage in every table', async (t) => {
  for (const [table, fields] of Object.entries(resourceFields)) {
    for (const name of columnsOf(fields)) assert.equal(storageOfColumn(name), storageOf(fields[name]!.schema), `${table}.${name}`);
  }
  const others = [...(await schemaOf(await withDatabase(t)))].filter(([table]) => !(table in resourceFields));
  for (const [table, columns] of others) {
    for (const name of columns.keys()) {
      const storage = ['busy', 'building'].includes(name) ? 'boolean' : 'plain';
      assert.equal(storageOfColumn(name), storage, `${table}.${name}`);
    }
  }
});

test('migrating again changes nothing', async (t) => {
  const db = await withDatabase(t);
  const before = await schemaOf(db);
  assert.equal(await migrate(db), migrations.at(-1)!.version);
  assert.deepEqual(await schemaOf(db), before);
});

const second: Migration = {
  version: migrations.at(-1)!.version + 1,
  name: 'second',
  statements: ['ALTER TABLE setting ADD COLUMN extra BOOLEAN NOT NULL DEFAULT FALSE'],
};

test('a migration is applied to a database with rows, and prepared statements see it', async (t) => {
  const db = await withDatabase(t, { file: true });
  const all = () => db.read.selectFrom('setting').selectAll().execute() as Promise<object[]>;
  await db.tx((tx) => tx.insertInto('setting').values({ name: 'a', value: '1' }).execute());
  assert.deepEqual(await all(), [{ name: 'a', value: '1' }]);
  assert.equal(await migrate(db, [...migrations, second]), second.version);
  const [row] = await all();
  assert.deepEqual(Object.keys(row!), ['name', 'value', 'extra']);
  assert.equal((await db.tx((tx) => tx.selectFrom('setting').selectAll().execute())).length, 1);
});

test('a migration that fails leaves the version before it whole', async (t) => {
  const db = await withDatabase(t);
  const before = await schemaOf(db);
  const broken: Migration = { ...second, statements: [...second.statements, 'CREATE TABLE setting (name TEXT) STRICT'] };
  await assert.rejects(migrate(db, [...migrations, broken]));
  assert.deepEqual(await schemaOf(db), before);
  assert.equal(await migrate(db, [...migrations, second]), second.version);
});

test('a database of a newer version is refused with a sentence and left alone', async (t) => {
  const db = await withDatabase(t);
  await migrate(db, [...migrations, second]);
  await assert.rejects(
    migrate(db),
    (error) =>
      error instanceof NewerSchema &&
      error.message.includes(`version ${second.version}, but this program knows versions up to ${second.version - 1} only`),
  );
});

test('several processes may migrate one empty database at once', async (t) => {
  const url = await withDatabaseUrl(t);
  const program = `
    import { openDatabase } from ${JSON.stringify(new URL('../../src/db/database.ts', import.meta.url).href)};
    import { migrate } from ${JSON.stringify(new URL('../../src/db/migrate.ts', import.meta.url).href)};
    const db = openDatabase({ url: process.env.URL_OF_TEST });
    await migrate(db);
    await db.close();`;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '--eval', program], { env: { URL_OF_TEST: url }, stdio: ['ignore', 'ignore', 'pipe'] }),
  );
  t.after(() => children.forEach((child) => child.kill('SIGKILL')));
  const ends = children.map(async (child) => {
    let said = '';
    child.stderr.on('data', (chunk) => (said += chunk));
    const [code] = await once(child, 'close');
    assert.equal(code, 0, said);
  });
  await Promise.all(ends);
  const db = openDatabase({ url });
  t.after(() => db.close());
  assert.equal(await migrate(db), migrations.at(-1)!.version);
});

test('look-ups that run all the time use an index', async (t) => {
  const db = await withDatabase(t);
  const due = db.read
    .selectFrom('reconciliation')
    .select('loadbalancer_id')
    .whereRef('generation', '>', 'applied_generation')
    .where('not_before_ms', '<=', 1)
    .orderBy('not_before_ms')
    .limit(10);
  const queries = {
    reconciliation_due: due,
    listener_loadbalancer: db.read.selectFrom('listener').selectAll().where('loadbalancer_id', '=', 'a'),
    loadbalancer_project: db.read
      .selectFrom('loadbalancer')
      .selectAll()
      .where('project_id', '=', 'a')
      .orderBy('created_at')
      .orderBy('id')
      .limit(10),
    amphora_loadbalancer: db.read.selectFrom('amphora').selectAll().where('loadbalancer_id', '=', 'a'),
    tag_resources: db.read.selectFrom('tag').select('resource_id').where('tag', '=', 'a'),
  };
  for (const [index, query] of Object.entries(queries)) {
    const plan = JSON.stringify(await explain(db, query));
    assert.ok(plan.includes(index), `${index}: ${plan}`);
  }
});

async function explain(db: Database, query: { compile(): { sql: string; parameters: readonly unknown[] } }): Promise<unknown> {
  const { sql: text, parameters } = query.compile();
  const values = text
    .split(/\?|\$\d+/u)
    .map((part, index) => (index === 0 ? sql.raw(part) : sql`${parameters[index - 1]}${sql.raw(part)}`));
  const explained = sql`${sql.raw(db.dialect === 'sqlite' ? 'explain query plan ' : 'explain ')}${sql.join(values, sql``)}`;
  return db.tx(async (tx) => {
    // On empty tables PostgreSQL rightly prefers a scan.
    if (db.dialect === 'postgresql') await sql`set local enable_seqscan = off`.execute(tx);
    return (await explained.execute(tx)).rows;
  });
}
