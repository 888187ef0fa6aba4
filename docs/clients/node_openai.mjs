// The official OpenAI client for Node talks to `moe serve` as it does to OpenAI.
//
//     npm install openai
//     export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=moe-...
//     node docs/clients/node_openai.mjs

import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 1 }); // the address and the key are read from the environment

// The router chooses the expert; `model` in the answer says which one it was, `moe` why and for how much.
const answer = await client.chat.completions.create({
  model: "moe",
  messages: [{ role: "user", content: "What is 17% of 2,340?" }],
});
console.log(`answer: ${answer.choices[0].message.content}`);
console.log(`decided: ${answer.moe.expert} for ${answer.moe.cost_usd.toFixed(6)} USD`);

// Piece by piece.
const stream = await client.chat.completions.create({
  model: "moe-cheap",
  messages: [{ role: "user", content: "Tell me about the sea." }],
  stream: true,
  stream_options: { include_usage: true },
});
let text = "";
let tokens = null;
for await (const chunk of stream) {
  for (const choice of chunk.choices) text += choice.delta.content ?? "";
  tokens = chunk.usage?.completion_tokens ?? tokens;
}
console.log(`streamed: ${text} (${tokens} tokens)`);

// Tools.
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city now.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const messages = [{ role: "user", content: "How is the weather in Oslo?" }];
const asked = (await client.chat.completions.create({ model: "moe", messages, tools: [weather] })).choices[0];
const call = asked.message.tool_calls[0];
console.log(`tool call: ${call.function.name}(${call.function.arguments}), ${asked.finish_reason}`);
messages.push(asked.message, { role: "tool", tool_call_id: call.id, content: "7 degrees, rain" });
const told = await client.chat.completions.create({ model: "moe", messages, tools: [weather] });
console.log(`with its result: ${told.choices[0].message.content}`);

// JSON mode.
const formed = await client.chat.completions.create({
  model: "moe",
  messages: [{ role: "user", content: "Capital of Norway, as JSON." }],
  response_format: { type: "json_object" },
});
console.log(`JSON: ${JSON.stringify(JSON.parse(formed.choices[0].message.content))}`);

// Feedback makes the router better.
await client.post("/feedback", { body: { id: answer.id, score: 1.0, comment: "right" } });
console.log("feedback: taken");

// Errors are those of OpenAI's API.
try {
  await client.chat.completions.create({ model: "moe-quality-2", messages: [{ role: "user", content: "Hello" }] });
} catch (problem) {
  console.log(`error: ${problem.constructor.name} ${problem.status} ${problem.code}`);
}
