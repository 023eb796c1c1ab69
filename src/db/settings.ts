/** Facts about this deployment by name. */
import type { Reader, Tx } from './database.ts';

/** The value of a setting; null: it was never put. */
export async function findSetting(reader: Reader, name: string): Promise<string | null> {
  const row = await reader.selectFrom('setting').select('value').where('name', '=', name).executeTakeFirst();
  return row?.value ?? null;
}

/** Puts a setting, in place of an earlier value. */
export async function putSetting(tx: Tx, name: string, value: string): Promise<void> {
  await tx
    .insertInto('setting')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
}

/** Puts a setting unless it has a value; answers the value that it has then, which is the same for all who try at once. */
export async function putSettingIfAbsent(tx: Tx, name: string, value: string): Promise<string> {
  await tx
    .insertInto('setting')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  return (await findSetting(tx, name)) ?? value;
}
