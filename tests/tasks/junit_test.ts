/** The count that decides whether all is well is itself counted right, for both runtimes' reports. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { failedFiles, readJunit } from "./junit.ts";

test("A report of Deno: suites do not count beside their tests, a suite that failed by itself does", () => {
  const counts = readJunit(`
    <testsuites name="deno test" tests="8" failures="4">
      <testsuite name="./tests/a_test.ts">
        <testcase name="Suite" classname="./tests/a_test.ts" time="0.006"><failure message="1 test step failed">1 test step failed.</failure></testcase>
        <testcase name="Hook" classname="./tests/a_test.ts" time="0.006"><failure message="Error: no broker">Error: no broker</failure></testcase>
        <testcase name="alone" classname="./tests/a_test.ts" time="0.000"></testcase>
        <testcase name="later" classname="./tests/a_test.ts" time="0.000"><skipped/></testcase>
        <testcase name="Suite &gt; works" classname="x" time="0.000"></testcase>
        <testcase name="Suite &gt; inner" classname="x" time="0.002"><failure message="1 test step failed">1 test step failed.</failure></testcase>
        <testcase name="Suite &gt; inner &gt; &lt;fails&gt;" classname="x" time="0.000"><failure message="x">Error: x</failure></testcase>
        <testcase name="Hook &gt; passed before" classname="x" time="0.000"></testcase>
      </testsuite>
    </testsuites>`);
  assert.deepEqual(counts, { passedCount: 3, failed: ["Hook", "Suite > inner > <fails>"], skipped: ["later"] });
});

test("A report of Bun: the suites stand in an attribute, the innermost first", () => {
  const counts = readJunit(`
    <testsuites name="bun test" tests="3" failures="1" skipped="1">
      <testsuite name="tests/a_test.ts" file="tests/a_test.ts" tests="3">
        <testsuite name="Suite" file="tests/a_test.ts" tests="2">
          <testcase name="works" classname="Suite" time="0.001" file="tests/a_test.ts" line="2" assertions="0" />
          <testcase name="later" classname="Suite" time="0" file="tests/a_test.ts" line="2"><skipped /></testcase>
          <testcase name="fails" classname="inner &gt; Suite" time="0.0002" file="tests/a_test.ts"><failure type="Error" message="x">x</failure></testcase>
        </testsuite>
      </testsuite>
    </testsuites>`);
  assert.deepEqual(counts, { passedCount: 1, failed: ["Suite > inner > fails"], skipped: ["Suite > later"] });
});

test("The files in which tests failed are found in both runtimes' reports", () => {
  const deno = `
    <testcase name="Good" classname="./tests/a_test.ts" time="0.006"></testcase>
    <testcase name="Suite" classname="./tests/b_test.ts" time="0.006"><failure message="1 test step failed">x</failure></testcase>
    <testcase name="Suite &gt; fails" classname="ext:testing.ts" time="0.000"><failure message="x">Error: x</failure></testcase>`;
  assert.deepEqual(failedFiles(deno), ["tests/b_test.ts"]);
  const bun = `
    <testcase name="works" classname="Suite" file="tests/a_test.ts" assertions="0" />
    <testcase name="fails" classname="Suite" file="tests/b_test.ts"><failure type="Error" message="x">x</failure></testcase>`;
  assert.deepEqual(failedFiles(bun), ["tests/b_test.ts"]);
});
