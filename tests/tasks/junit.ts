/**
 * Counts the tests of a JUnit report, the one format that both runtimes write.
 *
 * @module
 */

/** What a report says, test by test. */
export interface TestCounts {
  readonly passedCount: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
}

interface TestCase {
  /** With the suites that it is in: `outer > inner > test`. */
  readonly name: string;
  readonly isFailed: boolean;
  readonly isSkipped: boolean;
}

const ENTITIES: Readonly<Record<string, string>> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&" };

/** Reads a report. Deno lists a suite beside the tests in it: only the tests count. */
export function readJunit(xml: string): TestCounts {
  const cases = testCases(xml).map(([attributes, body]) => readCase(attributes, body));
  const suites = new Set(cases.flatMap(({ name }) => suitesOf(name)));
  const tests = cases.filter(({ name, isFailed }) => {
    // A suite that fails though none of its tests does failed in a hook.
    const hasFailedTest = cases.some((test) => test.isFailed && test.name.startsWith(`${name} > `));
    return !suites.has(name) || (isFailed && !hasFailedTest);
  });
  return {
    passedCount: tests.filter(({ isFailed, isSkipped }) => !isFailed && !isSkipped).length,
    failed: tests.filter(({ isFailed }) => isFailed).map(({ name }) => name),
    skipped: tests.filter(({ isSkipped }) => isSkipped).map(({ name }) => name),
  };
}

/** The files in which tests failed. */
export function failedFiles(xml: string): readonly string[] {
  const files = testCases(xml).filter(([, body]) => /<(?:failure|error)\b/.test(body)).map(([attributes]) =>
    /(?:^|\s)file="([^"]*)"/.exec(attributes)?.[1] ?? /classname="\.\/([^"]*_test\.ts)"/.exec(attributes)?.[1]
  );
  return [...new Set(files.filter((file) => file !== undefined))];
}

function testCases(xml: string): readonly (readonly [attributes: string, body: string])[] {
  return [...xml.matchAll(/<testcase\s([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)].map(([, attributes, body = ""]) => [attributes!, body]);
}

function readCase(attributes: string, body: string): TestCase {
  const attribute = (name: string) => unescapeXml(new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
  // Bun names the suites in an attribute of their own, the innermost first.
  const isBun = attribute("file") !== "";
  const suites = isBun ? attribute("classname").split(" > ").reverse() : [];
  return {
    name: [...suites, attribute("name")].filter((part) => part !== "").join(" > "),
    isFailed: /<(?:failure|error)\b/.test(body),
    isSkipped: /<skipped\b/.test(body),
  };
}

function suitesOf(name: string): string[] {
  const parts = name.split(" > ");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join(" > "));
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity]!);
}
