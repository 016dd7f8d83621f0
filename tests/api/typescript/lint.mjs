// `node lint.mjs DOCUMENT`: what Redocly's recommended rules find, as JSON.
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({ extends: ["recommended"] });
const problems = await lint({ ref: process.argv[2], config });
const told = problems.map(({ ruleId, severity, message }) => ({ ruleId, severity, message }));
console.log(JSON.stringify(told));
