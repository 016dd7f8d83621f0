// Serve the fixtures in the file given, on a free port of loopback; say where; end with stdin.
import { LLMock } from "@copilotkit/aimock";

const mock = new LLMock({ port: 0, host: "127.0.0.1" });
mock.loadFixtureFile(process.argv[2]);
await mock.start();
console.log(mock.url);
process.stdin.resume().on("end", () => process.exit());
