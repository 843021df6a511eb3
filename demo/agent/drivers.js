// Connect with node-postgres through the binding's `plain-uri`, its CA trusted by NODE_EXTRA_CA_CERTS.
'use strict';
const fs = require('fs');
const { Client } = require('pg');

const mount = process.env.BINDING_DIR || '/bindings/store';
const say = (event, fields) => console.log(JSON.stringify({ event, at: Date.now() / 1000, ...fields }));

async function main() {
  const uri = fs.readFileSync(`${mount}/plain-uri`, 'utf8').trim();
  let ok = false;
  let detail;
  let client;
  try {
    client = new Client({ connectionString: uri, connectionTimeoutMillis: 10000 });
    await client.connect();
    const { rows } = await client.query("select current_setting('server_version_num')::int as version");
    ok = Boolean(client.connection.stream.encrypted);
    detail = `version ${rows[0].version}, TLS ${ok}`;
  } catch (error) {
    detail = String(error).slice(0, 300);
  } finally {
    await client?.end().catch(() => {});
  }
  say('driver', { driver: 'node-postgres', key: 'plain-uri', ok, detail });
  say('result', { ok, tried: 1, worked: ok ? 1 : 0 });
  process.exit(ok ? 0 : 1);
}

main();
