// Mocha's spec reporter, which also says of every test that passed only on its second take what the first one failed of.
const { reporters, Runner } = require('mocha')

const { EVENT_RUN_END, EVENT_TEST_PASS, EVENT_TEST_RETRY } = Runner.constants

class SpecWithSecondTakes extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const firstErrors = new Map()
    const passed = []
    runner.on(EVENT_TEST_RETRY, (test, error) => firstErrors.set(test.fullTitle(), error))
    runner.on(EVENT_TEST_PASS, (test) => {
      const error = firstErrors.get(test.fullTitle())
      if (error !== undefined) passed.push({ title: test.fullTitle(), error })
    })
    runner.once(EVENT_RUN_END, () => {
      if (passed.length === 0) return
      process.stdout.write(`\n  ${passed.length} on the second take\n\n`)
      for (const { title, error } of passed) process.stdout.write(`  ~ ${title}\n      ${error.stack ?? error}\n\n`)
    })
  }
}

module.exports = SpecWithSecondTakes
