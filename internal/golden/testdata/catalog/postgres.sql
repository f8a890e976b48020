SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.brine_stores (
    name text NOT NULL COLLATE pg_catalog."C",
    identity text NOT NULL COLLATE pg_catalog."C",
    next bigint NOT NULL,
    format bigint NOT NULL,
    extra_columns text COLLATE pg_catalog."C"
);
CREATE TABLE public.orders (
    id bigint NOT NULL,
    data bytea NOT NULL,
    state character varying(128) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C",
    type text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    revision bigint DEFAULT 1 NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    created bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    modified bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    claim_owner text COLLATE pg_catalog."C",
    claim_until bigint,
    claim_token bigint,
    brine_columns bigint DEFAULT 0 NOT NULL,
    number text COLLATE pg_catalog."C",
    urgency bigint,
    placed bigint,
    customer text COLLATE pg_catalog."C"
);
CREATE TABLE public.orders_kv (
    id text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL,
    state character varying(128) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C",
    type text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    revision bigint DEFAULT 1 NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    created bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    modified bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    claim_owner text COLLATE pg_catalog."C",
    claim_until bigint,
    claim_token bigint
);
CREATE TABLE public.orders_quarantine (
    id text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL,
    state character varying(128) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C",
    type text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    revision bigint DEFAULT 1 NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    created bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    modified bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    claim_owner text COLLATE pg_catalog."C",
    claim_until bigint,
    claim_token bigint
);
CREATE TABLE public.unique_orders (
    id text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL,
    state character varying(128) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C",
    type text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    revision bigint DEFAULT 1 NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    created bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    modified bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    claim_owner text COLLATE pg_catalog."C",
    claim_until bigint,
    claim_token bigint,
    brine_columns bigint DEFAULT 0 NOT NULL,
    number text COLLATE pg_catalog."C",
    customer text COLLATE pg_catalog."C",
    urgency bigint
);
CREATE TABLE public.unique_orders_kv (
    id text NOT NULL COLLATE pg_catalog."C",
    data bytea NOT NULL,
    state character varying(128) DEFAULT ''::character varying NOT NULL COLLATE pg_catalog."C",
    type text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    revision bigint DEFAULT 1 NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    created bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    modified bigint DEFAULT '-62135596800000000'::bigint NOT NULL,
    claim_owner text COLLATE pg_catalog."C",
    claim_until bigint,
    claim_token bigint
);
INSERT INTO public.brine_stores VALUES ('orders', '35536515-d120-460e-a2ea-808ed60f1029', 33, 2, '{"columns":[{"name":"number","kind":"text","types":["golden.order","golden.purchase"]},{"name":"urgency","kind":"int","types":["golden.order","golden.purchase"]},{"name":"placed","kind":"time","types":["golden.order","golden.purchase"]},{"name":"customer","kind":"text","types":["golden.order","golden.purchase"]}],"sets":{"1":{"number":["golden.order","golden.purchase"],"placed":["golden.order","golden.purchase"],"urgency":["golden.order","golden.purchase"]},"2":{"customer":["golden.order","golden.purchase"]},"3":{"customer":["golden.order","golden.purchase"],"number":["golden.order","golden.purchase"],"placed":["golden.order","golden.purchase"],"urgency":["golden.order","golden.purchase"]}},"unknown":true}');
INSERT INTO public.brine_stores VALUES ('orders_quarantine', '31249b9a-e359-4e94-84c1-f8a4624485e4', 0, 1, NULL);
INSERT INTO public.brine_stores VALUES ('orders_kv', '6172c9f6-487c-4beb-9ed2-12c94b8a7a08', 0, 1, NULL);
INSERT INTO public.brine_stores VALUES ('unique_orders', 'd8b40952-3986-446c-88ab-62fedce4748d', 17, 3, '{"columns":[{"name":"number","kind":"text","types":["golden.order","golden.purchase"]},{"name":"customer","kind":"text","types":["golden.order","golden.purchase"]},{"name":"urgency","kind":"int","types":["golden.order","golden.purchase"]}],"sets":{"1":{"customer":["golden.order","golden.purchase"],"number":["golden.order","golden.purchase"],"urgency":["golden.order","golden.purchase"]}},"indexes":[{"columns":["number"],"unique":true},{"columns":["state","urgency"]},{"columns":["customer","urgency"],"unique":true}]}');
INSERT INTO public.brine_stores VALUES ('unique_orders_kv', 'd2e9cb78-1bc4-480f-9448-0ef9a0ab97f6', 0, 1, NULL);
INSERT INTO public.orders VALUES (6, '\x98a56272696e6502ac676f6c64656e2e7a6f6e656400909088a241749393d6ff65eb19e0d1b9b0b0416d65726963612f4e65775f596f726b92d7ff00000fa065ec2510cd1518d7ff00001f4065ed7690a3416e79c0a44c697374c0a44e657874c0a54b65796564c0a54c61746572c0a55465787473c0a554696d657381a26e7993d7ff00002ee065ef0050d1c7c0b0416d65726963612f4e65775f596f726bce7a7c7691', 'UNKNOWN', 'golden.zoned', 1, 164, 1795808597528429, 1795808597528429, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL);
INSERT INTO public.orders VALUES (7, '\x98a56272696e6501a6737472696e67009090ad6120706c61696e2076616c7565cef4e1f0a5', 'UNKNOWN', 'string', 1, 37, 1795808597528591, 1795808597528591, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL);
INSERT INTO public.orders VALUES (17, '\x98a56272696e6501ac676f6c64656e2e6f7264657202909087a54166746572c0a55061727473c0a55374617465a34e4557a64e756d626572a3e585ada6506c61636564d7ff00004e2065f16b10a7557267656e6379cd1388a8437573746f6d6572a2426fce6ff5f215', 'NEW', 'golden.order', 1, 105, 1795808597869707, 1795808597869707, NULL, NULL, NULL, 2, NULL, NULL, NULL, 'Bo');
INSERT INTO public.orders VALUES (4, '\x98a56272696e6501ac676f6c64656e2e6f726465720291a1319087a54166746572c0a5506172747391d40131a55374617465a34e4557a64e756d626572a47a776569a6506c6163656492d7ff00000fa065ec2510cd1518a7557267656e6379cd03e9a8437573746f6d6572a2426fcea4e447f9', 'NEW', 'golden.order', 2, 115, 1795808597527299, 1795808597768053, NULL, NULL, NULL, 2, 'zwei', 1000, 1709974800000001, 'Bo');
INSERT INTO public.orders VALUES (1, '\x98a56272696e6502ac676f6c64656e2e6f726465720292a134a1359087a54166746572c0a5506172747393d40134d40135d40134a55374617465a34e4557a64e756d626572a36f6e65a6506c6163656493d6ff65eb19e0d1b9b0b0416d65726963612f4e65775f596f726ba7557267656e637900a8437573746f6d6572a3416461ced607c1da', 'NEW', 'golden.order', 1, 134, 1795808597527299, 1795808597527299, NULL, NULL, NULL, 3, 'one', 0, 1709906400000000, 'Ada');
INSERT INTO public.orders VALUES (2, '\x98a56272696e6502ac676f6c64656e2e6f7264657202909087a54166746572c0a5506172747390a55374617465a34e4557a64e756d626572aa6772c3b6c39f65722034a6506c6163656493d7ff00002ee065ef0050d1c7c0b0416d65726963612f4e65775f596f726ba7557267656e6379cd0bb8a8437573746f6d6572a2426fce9118a947', 'NEW', 'golden.order', 1, 133, 1795808597527299, 1795808597527299, NULL, NULL, NULL, 3, 'größer 4', 3000, 1710162000000003, 'Bo');
INSERT INTO public.orders VALUES (3, '\x98a56272696e6501ac676f6c64656e2e6f7264657202909088a46e6f7465a661206e6f7465a54166746572c0a55061727473c0a55374617465a34e4557a64e756d626572a8d0bfd18fd182d18ca6506c6163656492d7ff00003e8065f01990cd1518a7557267656e6379cd0fa0a8437573746f6d6572a3416461cef013e310', 'NEW', 'golden.order', 1, 127, 1795808597527299, 1795808597527299, NULL, NULL, NULL, 3, 'пять', 4000, 1710234000000004, 'Ada');
INSERT INTO public.orders VALUES (5, '\x98a56272696e6501ac676f6c64656e2e6f72646572029091a13287a54166746572d40232a55061727473c0a55374617465a34e4557a64e756d626572a574726f6973a6506c61636564d7ff00001f4065ed7690a7557267656e6379cd07d0a8437573746f6d6572a3416461ce2433f0ff', 'CLAIMED', 'golden.order', 2, 112, 1795808597527299, 1795808598067012, 'worker 1', 4949408598070804, 2, 3, 'trois', 2000, 1710061200000002, 'Ada');
INSERT INTO public.orders_kv VALUES ('when', '\x98a56272696e6502a974696d652e54696d6500909093d6ff65eb19e0d1b9b0b0416d65726963612f4e65775f596f726bce01dc67b4', '', 'time.Time', 1795808598071566, 53, 1795808598071566, 1795808598071566, NULL, NULL, NULL);
INSERT INTO public.orders_kv VALUES ('list', '\x98a56272696e6501ae5b5d696e74657266616365207b7d0090909392a4696e743801a374776f92a974696d652e54696d6592d7ff00000fa065ec2510cd1518ceec50a0a6', '', '[]interface {}', 1795808598134516, 68, 1795808598134516, 1795808598134516, NULL, NULL, NULL);
INSERT INTO public.orders_quarantine VALUES ('id:18@00001795808598052938', '\x98a56272696e6501b16272696e652e51756172616e74696e656400909086a24944a23138a34b6579a0a454696d65d7ff0c9f14406b09dd56a55374726179c2a6526561736f6ea6676f6c64656ea653746f726564c503485b7b226e616d65223a226964222c226b696e64223a22696e74222c2276616c7565223a223138227d2c7b226e616d65223a2264617461222c226b696e64223a226279746573222c2276616c7565223a226d4b5669636d6c755a514b735a3239735a4756754c6d39795a47567941704351683656425a6e526c6373436c554746796448504170564e305958526c6f4b5a4f645731695a584b6b5958646865615a516247466a5a5753543176396c36786e6730626d77734546745a584a7059324576546d563358316c76636d756e56584a6e5a57356a6551436f5133567a644739745a584b6a515752687a7477504b516f3d227d2c7b226e616d65223a227374617465222c226b696e64223a2274657874227d2c7b226e616d65223a2274797065222c226b696e64223a2274657874222c2276616c7565223a22676f6c64656e2e6f72646572227d2c7b226e616d65223a227265766973696f6e222c226b696e64223a22696e74222c2276616c7565223a2231227d2c7b226e616d65223a2273697a65222c226b696e64223a22696e74222c2276616c7565223a22313139227d2c7b226e616d65223a2263726561746564222c226b696e64223a22696e74222c2276616c7565223a2231373935383038353937383731323636227d2c7b226e616d65223a226d6f646966696564222c226b696e64223a22696e74222c2276616c7565223a2231373935383038353937383731323636227d2c7b226e616d65223a22636c61696d5f6f776e6572222c226b696e64223a226e756c6c227d2c7b226e616d65223a22636c61696d5f756e74696c222c226b696e64223a226e756c6c227d2c7b226e616d65223a22636c61696d5f746f6b656e222c226b696e64223a226e756c6c227d2c7b226e616d65223a226272696e655f636f6c756d6e73222c226b696e64223a22696e74222c2276616c7565223a2232227d2c7b226e616d65223a226e756d626572222c226b696e64223a226e756c6c227d2c7b226e616d65223a22757267656e6379222c226b696e64223a226e756c6c227d2c7b226e616d65223a22706c61636564222c226b696e64223a226e756c6c227d2c7b226e616d65223a22637573746f6d6572222c226b696e64223a2274657874222c2276616c7565223a22416461227d5dce1133d48b', '', 'brine.Quarantined', 1, 932, 1795808598052938, 1795808598052938, NULL, NULL, NULL);
INSERT INTO public.unique_orders VALUES ('Order.1', '\x98a56272696e6502ac676f6c64656e2e6f726465720292a74f726465722e35a74f726465722e369087a54166746572c0a5506172747393c707014f726465722e35c707014f726465722e36c707014f726465722e35a55374617465a34e4557a64e756d626572a36f6e65a6506c6163656493d6ff65eb19e0d1b9b0b0416d65726963612f4e65775f596f726ba7557267656e637900a8437573746f6d6572a3416461ce90aade6e', 'NEW', 'golden.order', 1, 167, 1795808598282711, 1795808598282711, NULL, NULL, NULL, 1, 'one', 'Ada', 0);
INSERT INTO public.unique_orders VALUES ('Order.2', '\x98a56272696e6502ac676f6c64656e2e6f7264657202909087a54166746572c0a5506172747390a55374617465a34e4557a64e756d626572aa6772c3b6c39f65722034a6506c6163656493d7ff00002ee065ef0050d1c7c0b0416d65726963612f4e65775f596f726ba7557267656e6379cd0bb8a8437573746f6d6572a2426fce9118a947', 'NEW', 'golden.order', 1, 133, 1795808598282711, 1795808598282711, NULL, NULL, NULL, 1, 'größer 4', 'Bo', 3000);
INSERT INTO public.unique_orders VALUES ('Order.3', '\x98a56272696e6501ac676f6c64656e2e6f7264657202909088a46e6f7465a661206e6f7465a54166746572c0a55061727473c0a55374617465a34e4557a64e756d626572a8d0bfd18fd182d18ca6506c6163656492d7ff00003e8065f01990cd1518a7557267656e6379cd0fa0a8437573746f6d6572a3416461cef013e310', 'NEW', 'golden.order', 1, 127, 1795808598282711, 1795808598282711, NULL, NULL, NULL, 1, 'пять', 'Ada', 4000);
INSERT INTO public.unique_orders VALUES ('Order.4', '\x98a56272696e6501ac676f6c64656e2e6f7264657202909087a54166746572c0a55061727473c0a55374617465a34e4557a64e756d626572a3e585ada6506c61636564d7ff00004e2065f16b10a7557267656e6379cd1388a8437573746f6d6572a2426fce6ff5f215', 'NEW', 'golden.order', 1, 105, 1795808598282711, 1795808598282711, NULL, NULL, NULL, 1, '六', 'Bo', 5000);
INSERT INTO public.unique_orders VALUES ('Order.5', '\x98a56272696e6501ac676f6c64656e2e6f726465720291a74f726465722e319087a54166746572c0a5506172747391c707014f726465722e31a55374617465a34e4557a64e756d626572a47a776569a6506c6163656492d7ff00000fa065ec2510cd1518a7557267656e6379cd03e8a8437573746f6d6572a2426fce7dbc0f97', 'NEW', 'golden.order', 1, 128, 1795808598282711, 1795808598282711, NULL, NULL, NULL, 1, 'zwei', 'Bo', 1000);
INSERT INTO public.unique_orders VALUES ('Order.6', '\x98a56272696e6501ac676f6c64656e2e6f72646572029091a74f726465722e3287a54166746572c707024f726465722e32a55061727473c0a55374617465a34e4557a64e756d626572a574726f6973a6506c61636564d7ff00001f4065ed7690a7557267656e6379cd07d0a8437573746f6d6572a3416461ce5eac5253', 'NEW', 'golden.order', 1, 125, 1795808598282711, 1795808598282711, NULL, NULL, NULL, 1, 'trois', 'Ada', 2000);
INSERT INTO public.unique_orders VALUES ('größe/ä b%.txt', '\x98a56272696e6501a6737472696e67009090a86e6f206f72646572ced57b9bec', 'UNKNOWN', 'string', 1795808598288031, 32, 1795808598288031, 1795808598288031, NULL, NULL, NULL, 1, NULL, NULL, NULL);
INSERT INTO public.unique_orders_kv VALUES ('k', '\x98a56272696e6501a575696e743800909007cecbc32e45', '', 'uint8', 1795808598288205, 23, 1795808598288205, 1795808598288205, NULL, NULL, NULL);
ALTER TABLE ONLY public.brine_stores
    ADD CONSTRAINT brine_stores_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.orders_kv
    ADD CONSTRAINT orders_kv_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.orders_quarantine
    ADD CONSTRAINT orders_quarantine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.unique_orders_kv
    ADD CONSTRAINT unique_orders_kv_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.unique_orders
    ADD CONSTRAINT unique_orders_pkey PRIMARY KEY (id);
CREATE INDEX orders_brine_columns_9b3dc51d ON public.orders USING btree (brine_columns, type, id);
CREATE INDEX orders_claim_until_7f31d7c4 ON public.orders USING btree (claim_until, id) WHERE (claim_until IS NOT NULL);
CREATE INDEX orders_kv_claim_until_86c22ff3 ON public.orders_kv USING btree (claim_until, id) WHERE (claim_until IS NOT NULL);
CREATE INDEX orders_kv_state_f82a1af3 ON public.orders_kv USING btree (state, id);
CREATE INDEX orders_quarantine_claim_until_64b3615f ON public.orders_quarantine USING btree (claim_until, id) WHERE (claim_until IS NOT NULL);
CREATE INDEX orders_quarantine_state_65c64b90 ON public.orders_quarantine USING btree (state, id);
CREATE INDEX orders_state_2247a33e ON public.orders USING btree (state, id);
CREATE INDEX unique_orders_claim_until_9aa3eb48 ON public.unique_orders USING btree (claim_until, id) WHERE (claim_until IS NOT NULL);
CREATE UNIQUE INDEX unique_orders_customer_urgency_bffbfdba ON public.unique_orders USING btree (customer, urgency);
CREATE INDEX unique_orders_kv_claim_until_031f4665 ON public.unique_orders_kv USING btree (claim_until, id) WHERE (claim_until IS NOT NULL);
CREATE INDEX unique_orders_kv_state_03671d1c ON public.unique_orders_kv USING btree (state, id);
CREATE UNIQUE INDEX unique_orders_number_faafee31 ON public.unique_orders USING btree (number);
CREATE INDEX unique_orders_state_4b3acc17 ON public.unique_orders USING btree (state, id);
CREATE INDEX unique_orders_state_urgency_84cfc7af ON public.unique_orders USING btree (state, urgency, id);
