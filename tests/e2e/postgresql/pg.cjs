// node's pg: simple, with parameters, prepared, types, an error.
const assert = require("assert");
const { Client } = require("pg");

async function main() {
  const [address, password] = process.argv.slice(2);
  const [host, port] = address.split(":");
  const client = new Client({ host, port: Number(port), user: "reader", password, database: "headwater" });
  await client.connect();
  const counted = await client.query("select count(*) from vehicle");
  assert.deepStrictEqual(counted.rows, [{ count: "6" }]);
  const text = "select entity_id, event_time, vehicle_speed_kmh, brake_status from vehicle where entity_id = $1 and vehicle_speed_kmh > $2 order by 2";
  for (let time = 0; time < 3; time++) {
    const { rows } = await client.query({ name: "faster", text, values: ["veh-1", 1] });
    assert.strictEqual(rows.length, 2);
    assert.strictEqual(rows[0].vehicle_speed_kmh, 10.5);
    assert.ok(rows[0].event_time instanceof Date);
    assert.strictEqual(rows[0].brake_status, false);
  }
  const since = await client.query("select 1 from vehicle where event_time > $1 and entity_id = any($2)", [new Date(0), ["veh-0"]]);
  assert.strictEqual(since.rowCount, 2);
  await assert.rejects(client.query("insert into vehicle values (1)"), { code: "25006" });
  await assert.rejects(client.query("select sped from vehicle"), { code: "42703" });
  await client.end();
  console.log("simple, parameters, prepared, types, errors");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
