/*
 * The npm packages pg and pgvector, as published, against a vecidx database.
 *
 * pg sends a Buffer as a binary parameter.  It reads all results as UTF-8,
 * those it asked for in binary too, so results are text here.
 *
 * Expects PGHOST and PGUSER to lead to a server that has the extension; makes
 * a database of its own there and drops it.  Writes TAP.
 *
 * Elements are multiples of 1/64 below 8 where a test wants numbers that a
 * half holds exactly, so that one set serves all types.
 */
'use strict';

const assert = require('node:assert');
const { Client, Pool } = require('pg');
const { toSql, fromSql, SparseVector } = require('pgvector');
const { registerTypes } = require('pgvector/pg');

const DATABASE = 'vecidx_clients_node';

let tests = 0;
let failures = 0;

async function test(name, body) {
  tests++;
  try {
    await body();
    console.log(`ok ${tests} - ${name}`);
  } catch (error) {
    failures++;
    console.log(`not ok ${tests} - ${name}`);
    const lines = String(error.stack || error).split('\n').slice(0, 20);
    console.log(lines.map((line) => `# ${line.slice(0, 200)}`).join('\n'));
  }
}

/* The same numbers in every run: a 32-bit linear congruential generator. */
let seed = 20240229;

function random(below) {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor(seed / 2 ** 32 * below);
}

const some = (n, one) => Array.from({ length: n }, (_, i) => one(i));
const element = () => (random(1024) - 512) / 64 || 1 / 64;

/* ---------- wire formats ---------- */

/* A number that a half holds exactly. */
function halfBits(x) {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  if (size === 0) {
    return sign;
  }
  const exponent = Math.max(Math.floor(Math.log2(size)), -14);
  const digits = size / 2 ** exponent * 1024;
  return sign | (digits < 1024 ? digits : (exponent + 15 << 10) + digits - 1024);
}

function denseWire(numbers, size, write, unused = 0) {
  const buffer = Buffer.alloc(4 + size * numbers.length);
  buffer.writeInt16BE(numbers.length, 0);
  buffer.writeInt16BE(unused, 2);
  numbers.forEach((x, i) => write(buffer, x, 4 + size * i));
  return buffer;
}

const vectorWire = (v, unused) => denseWire(v, 4, (b, x, at) => b.writeFloatBE(x, at), unused);
const halfvecWire = (v, unused) => denseWire(v, 2, (b, x, at) => b.writeUInt16BE(halfBits(x), at), unused);

function sparsevecWire(v, header = {}) {
  const n = v.indices.length;
  const buffer = Buffer.alloc(12 + 8 * n);
  buffer.writeInt32BE(header.dim ?? v.dimensions, 0);
  buffer.writeInt32BE(header.nnz ?? n, 4);
  buffer.writeInt32BE(header.unused ?? 0, 8);
  v.indices.forEach((index, i) => buffer.writeInt32BE(index, 12 + 4 * i));
  v.values.forEach((x, i) => buffer.writeFloatBE(x, 12 + 4 * n + 4 * i));
  return buffer;
}

function bitWire(bits, length = bits.length) {
  const buffer = Buffer.alloc(4 + Math.ceil(bits.length / 8));
  buffer.writeInt32BE(length, 0);
  [...bits].forEach((bit, i) => { buffer[4 + (i >> 3)] |= Number(bit) << 7 - (i & 7); });
  return buffer;
}

/* ---------- distances, by their definitions ---------- */

const sum = (a, b, term) => a.reduce((total, x, i) => total + term(x, b[i]), 0);
const dot = (a, b) => sum(a, b, (x, y) => x * y);
const DISTANCE = {
  '<->': (a, b) => Math.sqrt(sum(a, b, (x, y) => (x - y) ** 2)),
  '<#>': (a, b) => -dot(a, b),
  '<=>': (a, b) => 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)),
  '<+>': (a, b) => sum(a, b, (x, y) => Math.abs(x - y)),
  '<~>': (a, b) => sum(a, b, (x, y) => Number(x !== y)),
  '<%>': (a, b) => 1 - (dot(a, b) && dot(a, b) / sum(a, b, (x, y) => Number(x || y))),
};

/* ---------- the types ---------- */

const DIM = 48;   // from 32 on hnsw keeps codes, not the values
const SPARSE_DIM = 1000;

function sparse() {
  const elements = new Map();
  for (let index = random(8); index < 60; index += 1 + random(12)) {
    elements.set(index, element());
  }
  elements.set(SPARSE_DIM - 1, element());
  return new SparseVector(elements, SPARSE_DIM);
}

const real = [['<->', 'l2'], ['<#>', 'ip'], ['<=>', 'cosine'], ['<+>', 'l1']];
const same = (x) => x;

/* As text gives them back: shortest decimals, and JSON writes no -0. */
const rounded = (v) => v.map((x) => Math.fround(x) + 0);

/*
 * column: the type of a column; any: of values of any length.  make: a value.
 * text, wire: what it is as a text and as a binary parameter; rounded: see there;
 * dense: its elements.
 */
const TYPES = [
  {
    name: 'vector', column: `vector(${DIM})`, make: () => some(DIM, element), any: 'vector', text: toSql, rounded,
    wire: vectorWire, dense: same, operators: real,
    extremes: [some(16000, element), [0, -0, 1e-45, -1e-45, 1.1754943508222875e-38, 3.4028234663852886e38, 0.1].map(Math.fround)],
    badText: [['[1,2', '22P02'], ['[]', '22000'], ['[1,NaN]', '22000'], ['[1e40]', '22003'], ['[1,2,3]', '22000', `expected ${DIM} dimensions, not 3`]],
    badWire: [
      ['cut short', vectorWire(some(DIM, element)).subarray(0, -1), '08P01'],
      ['with a byte too many', Buffer.concat([vectorWire(some(DIM, element)), Buffer.alloc(1)]), '22P03'],
      ['empty', Buffer.alloc(0), '08P01'],
      ['of no dimensions', vectorWire([]), '22000'],
      ['of negative dimensions', Buffer.from([255, 255, 0, 0]), '22000'],
      ['with a header of another kind', vectorWire(some(DIM, element), 1), '22000'],
      ['with NaN', vectorWire([...some(DIM - 1, element), NaN]), '22000'],
      ['with infinity', vectorWire([-Infinity, ...some(DIM - 1, element)]), '22000'],
      ['of other dimensions', vectorWire([1, 2]), '22000'],
    ],
  },
  {
    name: 'halfvec', column: `halfvec(${DIM})`, make: () => some(DIM, element), any: 'halfvec', text: toSql, rounded,
    wire: halfvecWire, dense: same, operators: real,
    extremes: [some(16000, element), [0, -0, 2 ** -24, -(2 ** -24), 2 ** -14, 65504, -65504, 0.0999755859375]],
    badText: [['1,2', '22P02'], ['[]', '22000'], ['[1,Infinity]', '22000'], ['[65520]', '22003'], ['[1,2,3]', '22000', `expected ${DIM} dimensions, not 3`]],
    badWire: [
      ['cut short', halfvecWire(some(DIM, element)).subarray(0, -1), '08P01'],
      ['with a byte too many', Buffer.concat([halfvecWire(some(DIM, element)), Buffer.alloc(1)]), '22P03'],
      ['of no dimensions', halfvecWire([]), '22000'],
      ['with a header of another kind', halfvecWire(some(DIM, element), 1), '22000'],
      ['with NaN', Buffer.concat([halfvecWire(some(DIM, element)).subarray(0, -2), Buffer.from([0x7e, 0])]), '22000'],
      ['of other dimensions', halfvecWire([1, 2]), '22000'],
    ],
  },
  {
    name: 'sparsevec', column: `sparsevec(${SPARSE_DIM})`, make: sparse, any: 'sparsevec', text: toSql,
    rounded: (v) => [v.dimensions, v.indices, rounded(v.values)],
    wire: sparsevecWire, dense: (v) => v.toArray(), operators: real,
    extremes: [
      new SparseVector(new Map(some(16000, (i) => [i * 60000, element()])), 1000000000),
      new SparseVector(new Map([[0, 1e-45], [7, -3.4028234663852886e38], [999999999, 0.1]].map(([i, x]) => [i, Math.fround(x)])), 1000000000),
    ],
    badText: [['{1:1', '22P02'], ['{1:1,1:2}/1000', '22000'], ['{1001:1}/1000', '22000'], ['{1:1}/3', '22000', `expected ${SPARSE_DIM} dimensions, not 3`]],
    badWire: [
      ['cut short', sparsevecWire(sparse()).subarray(0, -1), '08P01'],
      ['with a byte too many', Buffer.concat([sparsevecWire(sparse()), Buffer.alloc(1)]), '22P03'],
      ['of no dimensions', sparsevecWire(sparse(), { dim: 0 }), '22000'],
      ['of a negative number of elements', sparsevecWire(sparse(), { nnz: -1 }), '22000'],
      ['of more elements than the type has', sparsevecWire(sparse(), { nnz: 16001 }), '54000'],
      ['with a header of another kind', sparsevecWire(sparse(), { unused: 1 }), '22000'],
      ['with indices out of order', sparsevecWire({ dimensions: SPARSE_DIM, indices: [3, 2], values: [1, 1] }), '22000'],
      ['with an index twice', sparsevecWire({ dimensions: SPARSE_DIM, indices: [3, 3], values: [1, 1] }), '22000'],
      ['with an index too large', sparsevecWire({ dimensions: SPARSE_DIM, indices: [SPARSE_DIM], values: [1] }), '22000'],
      ['with a zero', sparsevecWire({ dimensions: SPARSE_DIM, indices: [3], values: [0] }), '22000'],
      ['with NaN', sparsevecWire({ dimensions: SPARSE_DIM, indices: [3], values: [NaN] }), '22000'],
    ],
  },
  {
    name: 'bit', column: 'bit(77)', make: () => some(77, () => random(2)).join(''), any: 'varbit', text: same, rounded: same,
    wire: bitWire, dense: (v) => [...v].map(Number), operators: [['<~>', 'hamming'], ['<%>', 'jaccard']],
    extremes: ['1', '01'.repeat(32000)],
    badText: [['2', '22P02'], ['01', '22026', 'bit string length 2 does not match type bit(77)']],
    badWire: [
      ['cut short', bitWire('01'.repeat(38) + '1').subarray(0, -1), '08P01'],
      ['of a negative length', bitWire('1', -1), '22P03'],
      ['of another length', bitWire('101'), '22026'],
    ],
  },
];

async function throws(client, code, message, text, values) {
  await assert.rejects(client.query(text, values), (error) => {
    assert.strictEqual(error.code, code, `${error.code}: ${error.message}`);
    if (message) {
      assert.strictEqual(error.message, message);
    }
    return true;
  });
  assert.strictEqual((await client.query('SELECT 1 AS one')).rows[0].one, 1);
}

/* ---------- values ---------- */

async function valuesOf(client, type) {
  const values = some(50, type.make);

  await test(`${type.name}: text parameters, text results`, async () => {
    await client.query(`CREATE TABLE texts (id int, e ${type.column})`);
    for (const [id, v] of values.entries()) {
      await client.query('INSERT INTO texts VALUES ($1, $2)', [id, type.text(v)]);
    }
    await client.query('INSERT INTO texts VALUES (-1, $1)', [null]);
    const { rows } = await client.query('SELECT e FROM texts ORDER BY id');
    assert.deepStrictEqual(rows.map((row) => row.e), [null, ...values]);
  });

  await test(`${type.name}: binary parameters are what text parameters are`, async () => {
    await client.query(`CREATE TABLE binaries (id int, e ${type.column})`);
    for (const [id, v] of values.entries()) {
      await client.query('INSERT INTO binaries VALUES ($1, $2)', [id, type.wire(v)]);
    }
    const { rows } = await client.query('SELECT e FROM binaries ORDER BY id');
    assert.deepStrictEqual(rows.map((row) => row.e), values);
    const wrong = await client.query('SELECT FROM texts t JOIN binaries b USING (id) WHERE t.e <> b.e');
    assert.strictEqual(wrong.rowCount, 0);
  });

  await test(`${type.name}: many rows of an array parameter`, async () => {
    const { rows } = await client.query(
      `INSERT INTO binaries SELECT 1000 + row_number() OVER (), e::${type.column} FROM unnest($1::text[]) e RETURNING e`, [values.map(type.text)]);
    assert.deepStrictEqual(rows.map((row) => row.e), values);
  });

  await test(`${type.name}: the longest, the largest and the smallest`, async () => {
    for (const v of type.extremes) {
      const both = await client.query(`SELECT $1::${type.any} AS text, ${type.any}_send($2) AS wire`, [type.text(v), type.wire(v)]);
      assert.deepStrictEqual(type.rounded(both.rows[0].text), type.rounded(v));
      assert(type.wire(v).equals(both.rows[0].wire));
    }
  });

  await test(`${type.name}: bad text is an error, and the session goes on`, async () => {
    for (const [text, code, message] of type.badText) {
      await throws(client, code, message, 'INSERT INTO texts VALUES (0, $1)', [text]);
    }
  });

  for (const [what, wire, code] of type.badWire) {
    await test(`${type.name}: binary parameter ${what}`, () => throws(client, code, undefined, 'INSERT INTO texts VALUES (0, $1)', [wire]));
  }
}

/* ---------- nearest neighbours ---------- */

const ROWS = 400;
const LIMIT = 10;
const SEARCHES = 10;

/*
 * Each row has to be at its distance, in order; the number of them that are
 * no farther than the LIMIT-th nearest.
 */
function nearestAmong(rows, type, operator, values, query) {
  const of = (v) => DISTANCE[operator](type.dense(v), type.dense(query));
  const farthest = values.map(of).sort((a, b) => a - b)[LIMIT - 1];
  const close = (a, b) => a - b < 1e-5 * Math.max(1, Math.abs(b));
  assert.strictEqual(rows.length, LIMIT);
  assert.strictEqual(new Set(rows.map((row) => row.id)).size, LIMIT);
  rows.forEach((row, i) => {
    const distance = of(values[row.id]);
    assert(close(row.distance, distance) && close(distance, row.distance), `row ${i}: distance ${row.distance}, not ${distance}`);
    assert(i === 0 || row.distance >= rows[i - 1].distance, `row ${i} is out of order`);
  });
  return rows.filter((row) => close(row.distance, farthest)).length;
}

async function neighboursOf(client, type) {
  const values = some(ROWS, type.make);
  const table = `near_${type.name}`;

  await client.query(`CREATE TABLE ${table} (id int, e ${type.column})`);
  for (let id = 0; id < ROWS; id++) {
    await client.query({ name: `fill ${table}`, text: `INSERT INTO ${table} VALUES ($1, $2)`, values: [id, id % 2 ? type.text(values[id]) : type.wire(values[id])] });
  }
  await client.query('SET hnsw.ef_search = 400');

  for (const [operator, metric] of type.operators) {
    const opclass = `${type.name}_${metric}_ops`;
    const search = `SELECT id, e ${operator} $1 AS distance FROM ${table} ORDER BY e ${operator} $1 LIMIT ${LIMIT}`;
    const plan = async (query) => (await client.query(`EXPLAIN (COSTS OFF) ${search}`, [query])).rows.map((row) => row['QUERY PLAN']).join('\n');

    await test(`${type.name} ${operator}: nearest rows of the table`, async () => {
      const query = type.make();
      await client.query('DROP INDEX IF EXISTS nearest');
      await client.query('RESET enable_seqscan');
      assert.match(await plan(type.text(query)), /Seq Scan/);
      for (const parameter of [type.text(query), type.wire(query)]) {
        assert.strictEqual(nearestAmong((await client.query(search, [parameter])).rows, type, operator, values, query), LIMIT);
      }
    });

    await test(`${type.name} ${operator}: nearest rows by ${opclass}`, async () => {
      let found = 0;
      await client.query('DROP INDEX IF EXISTS nearest');
      await client.query(`CREATE INDEX nearest ON ${table} USING hnsw (e ${opclass})`);
      await client.query('SET enable_seqscan = off');
      for (let i = 0; i < SEARCHES; i++) {
        const query = type.make();
        const parameter = i % 2 ? type.text(query) : type.wire(query);
        assert.match(await plan(parameter), /Index Scan using nearest/);
        // by name: prepared once, from the sixth execution on with a plan for all parameters
        const { rows } = await client.query({ name: `search ${opclass}`, text: search, values: [parameter] });
        found += nearestAmong(rows, type, operator, values, query);
      }
      // an index may miss a row, if hardly ever one of so few
      assert(found >= SEARCHES * LIMIT * 0.97, `only ${found} of ${SEARCHES * LIMIT} nearest rows found`);
    });
  }
}

/* ---------- the client as a whole ---------- */

async function ownDatabase(statement) {
  const client = new Client({ database: 'postgres' });
  await client.connect();
  await client.query(statement);
  await client.end();
}

async function connected(options = {}) {
  const client = new Client({ database: DATABASE, ...options });
  await client.connect();
  return client;
}

async function main() {
  await ownDatabase(`DROP DATABASE IF EXISTS ${DATABASE}`);
  await ownDatabase(`CREATE DATABASE ${DATABASE}`);

  const client = await connected();

  await test('without the extension, types are not found', async () => {
    await assert.rejects(registerTypes(client), /vector type not found/);
  });

  await client.query('CREATE EXTENSION vecidx');

  await test('types are registered by name', async () => {
    const query = `SELECT '[1,2.5]'::vector AS v, '[1,2.5]'::halfvec AS h, '{2:1.5}/3'::sparsevec AS s`;
    assert.deepStrictEqual((await client.query(query)).rows[0], { v: '[1,2.5]', h: '[1,2.5]', s: '{2:1.5}/3' });
    await registerTypes(client);
    assert.deepStrictEqual((await client.query(query)).rows[0], { v: [1, 2.5], h: [1, 2.5], s: new SparseVector({ 1: 1.5 }, 3) });
    assert.deepStrictEqual(fromSql('[1,2.5]'), [1, 2.5]);
  });

  for (const type of TYPES) {
    await valuesOf(client, type);
    await client.query('DROP TABLE texts, binaries');
    await neighboursOf(client, type);
  }

  await test('functions and aggregates give vectors', async () => {
    const { rows } = await client.query('SELECT avg(e) AS mean, sum(e) AS sum, l2_normalize($2::vector) AS normal, subvector($2::vector, 1, 1) AS part FROM unnest($1::vector[]) e',
      [[toSql([1, 2]), toSql([3, 6])], toSql([3, 4])]);
    assert.deepStrictEqual(rows[0], { mean: [2, 4], sum: [4, 8], normal: [0.6, 0.8], part: [3] });
  });

  await test('jsonb is an array on either side', async () => {
    const { rows } = await client.query('SELECT $1::jsonb::vector(2) AS v, $1::jsonb::halfvec AS h, $2::vector::jsonb AS j', [JSON.stringify([1, 2.5]), toSql([3, 4.5])]);
    assert.deepStrictEqual(rows[0], { v: [1, 2.5], h: [1, 2.5], j: [3, 4.5] });
    await throws(client, '22004', 'array must not contain nulls', 'SELECT $1::jsonb::vector', ['[1,null]']);
  });

  await test('a pool registers types for each of its clients', async () => {
    const pool = new Pool({ database: DATABASE, max: 3, onConnect: registerTypes });
    const results = await Promise.all(some(12, (i) => pool.query('SELECT pg_backend_pid() AS pid, $1::vector AS v, pg_sleep(0.02)', [toSql([i, 1])])));
    results.forEach((result, i) => assert.deepStrictEqual(result.rows[0].v, [i, 1]));
    assert.strictEqual(new Set(results.map((result) => result.rows[0].pid)).size, 3);
    await pool.end();
  });

  await test('an error rolls back, a transaction commits', async () => {
    await client.query('CREATE TABLE kept (e vector(2))');
    await client.query('BEGIN');
    await client.query('INSERT INTO kept VALUES ($1)', [toSql([1, 2])]);
    await assert.rejects(client.query('INSERT INTO kept VALUES ($1)', [toSql([1])]), { code: '22000' });
    await assert.rejects(client.query('SELECT * FROM kept'), { code: '25P02' });
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await client.query('INSERT INTO kept VALUES ($1)', [vectorWire([3, 4])]);
    await client.query('COMMIT');
    assert.deepStrictEqual((await client.query('SELECT e FROM kept')).rows, [{ e: [3, 4] }]);
  });

  await client.end();
  await ownDatabase(`DROP DATABASE ${DATABASE}`);
  console.log(`1..${tests}`);
  process.exitCode = failures ? 1 : 0;
}

main().catch((error) => {
  console.log(`Bail out! ${error.stack}`);
  process.exitCode = 2;
});
