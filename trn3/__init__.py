"""trn3: the open lab for AWS Trainium3.

A module imports only from the tiers below it:

* 0 formulas: ``units roofline collectives energy reliability cost``
* 1 records: ``data hardware workload``
* 2 composers: ``memory layouts training search runs inference footprint scaling customers ownership savings waiting
  claims uncertainty calibration training_fit serving_fit validation trust``
* 3 showing: ``theme drawing forms charts story explore``
* 4 running: ``reporting.parameters reporting.engine reporting.batch reporting.packing reporting.markup reporting.html
  reporting.panel reporting.comparison reporting.site reporting.warm reporting.cli``

``import trn3`` loads nothing heavy; import the module that you need: ``from trn3 import hardware``.
"""

__version__ = "0.1.0"
