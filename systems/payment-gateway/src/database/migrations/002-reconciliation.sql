-- Which gateway was killed is the requester's journal's to know; a payment that nobody settles comes due by itself.
drop table gateway_leases;
