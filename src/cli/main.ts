#!/usr/bin/env node
import process from 'node:process'
import { InvalidInputError, LoopfleetError } from '../base/errors.js'
import { createProgram } from './program.js'

// The last border: a clear sentence for what we know, a stack trace only for our own mistakes.
try {
  await createProgram().parseAsync()
} catch (error) {
  if (!(error instanceof LoopfleetError)) throw error
  process.stderr.write(`${error.message} [${error.code}]\n`)
  process.exitCode = error instanceof InvalidInputError ? 2 : 1
}
