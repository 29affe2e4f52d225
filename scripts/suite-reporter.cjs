// Mocha's spec reporter, which also writes what came out as JSON to the file named by SUITE_RESULT: counts, what failed,
// and how long each outermost suite took.
const { writeFileSync } = require('node:fs')
const process = require('node:process')
const { reporters, Runner } = require('mocha')

const { EVENT_RUN_END, EVENT_SUITE_BEGIN, EVENT_SUITE_END, EVENT_TEST_FAIL } = Runner.constants

class SuiteReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const failures = []
    const suites = []
    const begunAt = new Map()
    runner.on(EVENT_TEST_FAIL, (test, error) =>
      failures.push({
        title: test.fullTitle(),
        error: `${error.stack ?? error}`,
        file: test.file ?? test.parent?.file ?? null, // hooks of mocha have none
      }),
    )
    runner.on(EVENT_SUITE_BEGIN, (suite) => begunAt.set(suite, performance.now()))
    runner.on(EVENT_SUITE_END, (suite) => {
      if (!suite.parent?.root) return
      suites.push({ file: suite.file, title: suite.title, ms: Math.round(performance.now() - begunAt.get(suite)) })
    })
    runner.once(EVENT_RUN_END, () => {
      const { passes, pending } = runner.stats
      const text = JSON.stringify({ passes, pending, failures, suites })
      if (process.env.SUITE_RESULT !== undefined) writeFileSync(process.env.SUITE_RESULT, text)
    })
  }
}

module.exports = SuiteReporter
